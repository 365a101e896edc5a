"""Whether a service of the deployment does its work: exit status 0 if so. It costs a tenth of Dagster's own commands.

    python -I probe.py grpc HOST:PORT | http HOST:PORT [PATH] | daemon | worker [HOST]

It is run every half minute in each container, so it imports nothing of Dagster's and the platform's: to ask is cheap,
to load them takes a second of a core.
"""

import os
import sys
from socket import gethostname
from urllib.parse import quote

_SECONDS = 10
#: Dagster's daemon writes a heartbeat every half minute, and ends if one of its parts has sent none for 30 minutes.
_ALIVE = """
    SELECT max(timestamp) > (now() AT TIME ZONE 'utc') - interval '90 s'
       AND min(timestamp) > (now() AT TIME ZONE 'utc') - interval '30 min'
    FROM daemon_heartbeats
    WHERE daemon_id = (SELECT daemon_id FROM daemon_heartbeats ORDER BY timestamp DESC LIMIT 1)
"""
#: The messages of https://github.com/grpc/grpc/blob/master/doc/health-checking.md, so short that they need no library:
#: field 1 is the service asked for, and of the answer the status, of which 1 is SERVING.
_ASKED, _SERVING = b"\x0a\x0aDagsterApi", b"\x08\x01"


def grpc(address: str) -> bool:
    """Whether Dagster's code server there answers that it is serving."""
    from grpc import RpcError, insecure_channel

    with insecure_channel(address) as channel:
        try:
            return channel.unary_unary("/grpc.health.v1.Health/Check")(_ASKED, timeout=_SECONDS) == _SERVING
        except RpcError as error:
            sys.stderr.write(f"{error.code()}: {error.details()}\n")  # pyright: ignore[reportAttributeAccessIssue]
            return False


def http(address: str, path: str = "/server_info") -> bool:
    """Whether a web server there answers; by default Dagster's own, which says who it is."""
    from http.client import HTTPConnection, HTTPException

    connection = HTTPConnection(address, timeout=_SECONDS)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, HTTPException) as error:
        sys.stderr.write(f"{error}\n")
        return False
    finally:
        connection.close()


def daemon() -> bool:
    """Whether a daemon has written its heartbeats into Dagster's database of late."""
    import psycopg2  # as dagster-postgres itself

    try:
        connection = psycopg2.connect(os.environ["DAGSTER_POSTGRES_URL"], connect_timeout=_SECONDS)
        with connection, connection.cursor() as cursor:
            cursor.execute(_ALIVE)
            return cursor.fetchone() == (True,)
    except psycopg2.Error as error:
        sys.stderr.write(f"{error}\n")
        return False


def worker(host: str = "") -> bool:
    """Whether a worker of a machine, of this one if none is named, answers what it is asked by way of the broker."""
    from celery import Celery
    from kombu.exceptions import KombuError
    from redis.exceptions import RedisError

    url = os.environ["DAGSTER_CELERY_BROKER_URL"]
    if file := os.environ.get("DAGSTER_CELERY_PASSWORD_FILE"):
        with open(file, encoding="utf-8") as held:  # noqa: PTH123 (pathlib takes longer to import)
            url = url.replace("://", f"://:{quote(held.read().strip(), safe='')}@")
    try:
        said = Celery(broker=url).control.broadcast(
            "ping", reply=True, timeout=_SECONDS, limit=1, pattern=f"*@{host or gethostname()}", matcher="glob"
        )
    except (OSError, KombuError, RedisError) as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return False
    return bool(said)


if __name__ == "__main__":
    _, what, *where = sys.argv
    sys.exit(not {"grpc": grpc, "http": http, "daemon": daemon, "worker": worker}[what](*where))
