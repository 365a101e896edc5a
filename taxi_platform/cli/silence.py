"""What the daemon cannot tell by itself: that it is down. The next command somebody runs here says so."""

import time

import dagster as dg

from taxi_platform.automation.troubles import silence
from taxi_platform.cli import say
from taxi_platform.settings import environment


def say_if_nobody_looks(instance: dg.DagsterInstance) -> None:
    """Say that no daemon is there, where people have asked to be told of things (`TAXI_ALERT_URLS`) and are not."""
    if environment().get("TAXI_ALERT_URLS", "").strip() and (told := silence(instance, time.time())):
        say.complain([told])
