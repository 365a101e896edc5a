"""Dagster's own event log in SQLite, with its databases kept open."""

import os
from collections import OrderedDict
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from dagster import DagsterInstance
from filelock import FileLock
from sqlalchemy import Connection, Engine, QueuePool, event

from taxi_platform.dagster_internals import (
    SQLITE_BUSY_TIMEOUT_SECONDS,
    ConfigurableClassData,
    SqliteEventLogStorage,
    create_engine,
)

#: A run writes into its own database and the index; the UI reads those of the runs it shows.
_KEPT = 8


class KeptEventLogStorage(SqliteEventLogStorage):
    """Writes what Dagster's own class writes, into the same files, without opening them anew for every event.

    Dagster makes an engine and a connection per statement. Each end of one is a checkpoint, with all its writes to the
    disk, and each beginning compiles the SQL again: for the hundred events of a run, a tenth of a small month's time.

    Places in pools are given and taken back by one process at a time: Dagster's class looks for a free one and then
    writes its name there, which in SQLite lets two runs take the same place (PostgreSQL locks the row).
    """

    def __init__(self, inst_data: ConfigurableClassData | None = None) -> None:
        # The rest of it waits for the instance, which alone knows where it is: a folder that was moved or copied must
        # not go on writing into the old one.
        self._engines: OrderedDict[str, Engine] = OrderedDict()
        self._inst_data = inst_data

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """Dagster's hook: there is nothing to configure."""
        return {}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> Self:
        """Dagster's hook; its own class names itself there."""
        return cls(inst_data)

    def register_instance(self, instance: DagsterInstance) -> None:
        """Dagster's hook: where its own class would put the same files."""
        folder = Path(instance.root_directory) / "history" / "runs"
        super().__init__(str(folder), self._inst_data)
        self._places = FileLock(folder / ".places.lock")
        super().register_instance(instance)

    @contextmanager
    def _connect(self, shard: str) -> Generator[Connection, None, None]:
        with self._db_lock:
            engine = self._engine_of(shard)
            with engine.begin() as connection:
                before = _changes(connection)
                yield connection
                has_written = _changes(connection) > before
            if has_written:
                # It stands in the write-ahead log; who watches a run looks at the time of the database itself.
                os.utime(self.path_for_shard(shard))

    def claim_concurrency_slot(
        self, concurrency_key: str, run_id: str, step_key: str, priority: int | None = None
    ) -> Any:
        """Dagster's hook: take a place in a pool, or stand in its queue."""
        with self._places:
            return super().claim_concurrency_slot(concurrency_key, run_id, step_key, priority)

    def free_concurrency_slots_for_run(self, run_id: str) -> None:
        """Dagster's hook: give back a run's places."""
        with self._places:
            super().free_concurrency_slots_for_run(run_id)

    def free_concurrency_slot_for_step(self, run_id: str, step_key: str) -> None:
        """Dagster's hook: give back a step's place."""
        with self._places:
            super().free_concurrency_slot_for_step(run_id, step_key)

    def initialize_concurrency_limit_to_default(self, concurrency_key: str) -> bool:
        """Dagster's hook: a pool comes to be."""
        with self._places:
            return super().initialize_concurrency_limit_to_default(concurrency_key)

    def wipe(self) -> None:
        """Dagster's hook: forget all runs. Their files are gone then, so they must not be held open."""
        self._close_all()
        super().wipe()

    def delete_events(self, run_id: str) -> None:
        """Dagster's hook: forget a run. Its own database goes whole; Dagster's class leaves it there, empty."""
        super().delete_events(run_id)
        with self._db_lock:
            if engine := self._engines.pop(run_id, None):
                engine.dispose()
            database = Path(self.path_for_shard(run_id))
            for path in (database, *(database.with_name(f"{database.name}-{it}") for it in ("wal", "shm", "journal"))):
                path.unlink(missing_ok=True)

    def dispose(self) -> None:
        """Dagster's hook: the end of the instance."""
        super().dispose()
        self._close_all()

    def _close_all(self) -> None:
        with self._db_lock:
            while self._engines:
                self._engines.popitem()[1].dispose()

    def _engine_of(self, shard: str) -> Engine:
        if shard not in self._engines:
            engine = create_engine(
                self.conn_string_for_shard(shard),
                poolclass=QueuePool,
                pool_size=1,
                connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS},
            )
            event.listen(engine, "connect", _write_behind)
            self._initdb(engine)
            self._engines[shard] = engine
        self._engines.move_to_end(shard)
        if len(self._engines) > _KEPT:
            self._engines.popitem(last=False)[1].dispose()
        return self._engines[shard]


def _write_behind(connection: Any, _record: Any) -> None:
    """Wait for the disk at checkpoints, not at each of a run's 300 commits.

    With a write-ahead log a power cut can then take the last moments of what was told, never break the database
    (https://www.sqlite.org/pragma.html#pragma_synchronous). The run is dead then too, and is run again.
    """
    connection.execute("PRAGMA synchronous=NORMAL")


def _changes(connection: Connection) -> int:
    """How many rows were ever written by it."""
    return getattr(connection.connection.driver_connection, "total_changes", 0)
