"""Which store a `TAXI_WAREHOUSE_URL` is: a name that is equal for equal places, and holds no secret."""

from __future__ import annotations

from urllib.parse import urlsplit

from taxi_platform.core.urls import duckdb_path

#: Where libpq goes when nobody says where: https://www.postgresql.org/docs/current/libpq-connect.html
_PORT = "5432"
#: What of a connection says where it leads.
_PLACE = ("service", "host", "hostaddr", "port", "dbname", "user")
_UNREADABLE = "a store whose URL cannot be read"


def store_of(url: str) -> str:
    """The name of the store a URL leads to.

    Who logs in, with which password and options, makes no other store of it: only the place does.

    Args:
        url: What `TAXI_WAREHOUSE_URL` says.

    Returns:
        `duckdb:<file>`, `postgresql:<host>:<port>/<database>` or `bigquery:<project>/<dataset>`. Of a URL that its
        client would not understand, nothing is repeated: a piece of the password may stand anywhere in it.
    """
    url = url.strip()
    if (path := duckdb_path(url)) is not None:
        return f"duckdb:{path.resolve()}"
    kind = url.partition("://")[0]
    if kind in ("postgresql", "postgres"):
        return _postgres(url)
    if kind == "bigquery":
        try:
            parts = urlsplit(url)
        except ValueError:
            return _UNREADABLE
        return _UNREADABLE if "@" in url else f"bigquery:{parts.netloc}/{parts.path.strip('/')}"
    return _UNREADABLE


def _postgres(url: str) -> str:
    import psycopg  # heavy: only for those who use it
    from psycopg.conninfo import conninfo_to_dict

    try:
        # What the URL leaves out libpq takes from PGHOST and its like; another of them is another place.
        defaults = {it.keyword.decode(): it.val.decode() for it in psycopg.pq.Conninfo.get_defaults() if it.val}
        given = {name: defaults[name] for name in _PLACE if name in defaults} | {
            name: str(value) for name, value in conninfo_to_dict(url).items() if value
        }
    except (psycopg.Error, UnicodeError):
        return _UNREADABLE
    host = (given.get("hostaddr") or given.get("host") or "").lower()  # libpq goes to the address
    # Of several hosts each may have a port of its own, or leave it out.
    port = ",".join(it or _PORT for it in given.get("port", "").split(","))
    database = given.get("dbname") or given.get("user") or ""
    if "@" in host + database or not port.replace(",", "").isdigit():
        return _UNREADABLE
    service = f"{given['service']} of the service file, " if "service" in given else ""
    return f"postgresql:{service}{host}:{port}/{database}"
