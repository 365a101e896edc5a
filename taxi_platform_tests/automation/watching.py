"""The sensor `alerts` driven look by look, as the daemon does it, with a clock that can be set forward."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg

from taxi_platform.automation.alerts import build_alert_sensor
from taxi_platform.resources import AlertsResource


@dataclass
class Watch:
    """The sensor, as the daemon uses it: its cursor is all that is left of a look.

    Attributes:
        ahead: How far the clock is set forward; by a little, so that what has just happened counts as settled.
        checks: Those it looks at each time.
        again: Those that are judged again.
        said: What the sensor and its ticks said.
    """

    instance: dg.DagsterInstance
    urls: str
    ahead: timedelta = timedelta(seconds=15)
    cursor: str | None = None
    checks: tuple[dg.AssetCheckKey, ...] = ()
    again: tuple[dg.AssetCheckKey, ...] = ()
    said: list[str] = field(default_factory=list[str])

    def look(self) -> str:
        """Evaluate the sensor once, in a sensor that was made anew."""
        sensor = build_alert_sensor(
            dg.DefaultSensorStatus.STOPPED, self.checks, lambda: datetime.now(UTC) + self.ahead, self.again
        )
        resources = {"alerts": AlertsResource(urls=self.urls, ui_url="http://ui:3000")}
        with dg.build_sensor_context(self.instance, cursor=self.cursor, resources=resources) as context:
            result = sensor.evaluate_tick(context)
        assert result.run_requests == []
        assert result.skip_message is not None
        self.cursor = result.cursor
        self.said += [result.skip_message, result.cursor or ""]
        return result.skip_message


def instance_on_disk(home: Path, config: str) -> dg.DagsterInstance:
    """An instance that is kept in a folder, with some of its settings."""
    home.mkdir()
    (home / "dagster.yaml").write_text(f"telemetry: {{enabled: false}}\n{config}")
    return dg.DagsterInstance.from_config(str(home))
