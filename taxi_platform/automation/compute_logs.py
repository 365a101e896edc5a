"""What runs print, kept in the lake (`_logs/`): the UI shows it whichever machine a run was on."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from shutil import copyfile
from typing import IO, Any, Self

import dagster as dg

from taxi_platform.core.files import sha256_of
from taxi_platform.core.lake import Lake
from taxi_platform.dagster_internals import (
    IO_TYPE_EXTENSION,
    ComputeIOType,
    ConfigurableClass,
    ConfigurableClassData,
    LocalComputeLogManager,
    PollingComputeLogSubscriptionManager,
    TruncatingCloudStorageComputeLogManager,
)
from taxi_platform.resources import lake_of
from taxi_platform.settings import Settings, environment

_LOGS = "_logs"
#: The settings that say where the lake is, and by which account.
_OF_THE_LAKE = ("TAXI_LAKE_URL", "TAXI_GCP_CREDENTIALS", "AZURE_STORAGE_")


class LakeComputeLogManager(TruncatingCloudStorageComputeLogManager, ConfigurableClass):
    """Dagster's own way to keep logs in a bucket, of any kind a lake may have.

    The lake is the one that `TAXI_LAKE_URL` names where a process runs: the webserver needs it too.
    """

    def __init__(
        self, local_dir: str, upload_interval: int | None = None, inst_data: ConfigurableClassData | None = None
    ) -> None:
        self._inst_data = inst_data
        self._local_dir = Path(local_dir)
        self._local_manager = LocalComputeLogManager(local_dir)
        self._upload_interval = upload_interval
        self._subscriptions = PollingComputeLogSubscriptionManager(self)
        self._opened: Lake | None = None
        super().__init__()

    @property
    def inst_data(self) -> ConfigurableClassData | None:
        """See `ConfigurableClass`."""
        return self._inst_data

    @classmethod
    def config_type(cls) -> Any:
        """Where logs are until they are in the lake, and how often those of a run at work are sent, in seconds."""
        return {
            "local_dir": dg.StringSource,
            "upload_interval": dg.Field(dg.Noneable(int), is_required=False, default_value=None),
        }

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData, config_value: Mapping[str, Any]) -> Self:
        """See `ConfigurableClass`."""
        return cls(inst_data=inst_data, **config_value)

    @property
    def local_manager(self) -> LocalComputeLogManager:
        """What captures them on this machine."""
        return self._local_manager

    @property
    def upload_interval(self) -> int | None:
        """See `config_type`."""
        return self._upload_interval

    def delete_logs(self, log_key: Sequence[str] | None = None, prefix: Sequence[str] | None = None) -> None:
        """Delete the logs of a step, or all below a prefix."""
        self._local_manager.delete_logs(log_key, prefix)
        # A key's own files, or all there is below a prefix; those whose names only begin alike are others'.
        names = self._lake.list_objects("/".join([_LOGS, *(prefix or (log_key or [])[:-1]), ""]))
        for name in names:
            if prefix or (log_key and name.rpartition("/")[2].partition(".")[0] == log_key[-1]):
                self._lake.remove_object(name)

    def download_url_for_type(self, log_key: Sequence[str], io_type: ComputeIOType) -> str | None:
        """None: the webserver shows them, and nobody else needs the lake's account."""
        return None

    def display_path_for_type(self, log_key: Sequence[str], io_type: ComputeIOType) -> str:
        """The name in the lake."""
        return _name(log_key, io_type)

    def cloud_storage_has_logs(self, log_key: Sequence[str], io_type: ComputeIOType, partial: bool = False) -> bool:
        """Whether the lake has them."""
        name = _name(log_key, io_type, partial)
        return name in self._lake.list_objects(name.rpartition("/")[0] + "/")

    def download_from_cloud_storage(
        self, log_key: Sequence[str], io_type: ComputeIOType, partial: bool = False
    ) -> None:
        """Bring them here."""
        path = Path(self._local_manager.get_captured_local_path(log_key, IO_TYPE_EXTENSION[io_type], partial=partial))
        path.parent.mkdir(parents=True, exist_ok=True)
        if there := self._lake.get_object(_name(log_key, io_type, partial)):
            copyfile(there, path)

    def get_log_keys_for_log_key_prefix(
        self, log_key_prefix: Sequence[str], io_type: ComputeIOType
    ) -> Sequence[list[str]]:
        """The keys below a prefix."""
        extension = f".{IO_TYPE_EXTENSION[io_type]}"
        names = self._lake.list_objects("/".join([_LOGS, *log_key_prefix, ""]))
        return [name.removesuffix(extension).split("/")[1:] for name in names if name.endswith(extension)]

    def on_subscribe(self, subscription: Any) -> None:
        """See `CloudStorageComputeLogManager`."""
        self._subscriptions.add_subscription(subscription)

    def on_unsubscribe(self, subscription: Any) -> None:
        """See `CloudStorageComputeLogManager`."""
        self._subscriptions.remove_subscription(subscription)

    def dispose(self) -> None:
        """End what watches logs."""
        self._subscriptions.dispose()
        self._local_manager.dispose()

    def _upload_file_obj(
        self, data: IO[bytes], log_key: Sequence[str], io_type: ComputeIOType, partial: bool = False
    ) -> None:
        path = Path(data.name)
        if partial and not path.stat().st_size:
            return
        # What a run at work prints goes on growing: a copy does not.
        still = path.with_name(f"{path.name}.sent")
        copyfile(path, still)
        try:
            self._lake.put_object(_name(log_key, io_type, partial), still, sha256_of(still))
        finally:
            still.unlink(missing_ok=True)

    @property
    def _lake(self) -> Lake:
        if self._opened is None:
            told = {name: value for name, value in environment().items() if name.startswith(_OF_THE_LAKE)}
            self._opened = lake_of(Settings.from_env(told | {"TAXI_DATA_DIR": str(self._local_dir)})).open()
        return self._opened


def _name(log_key: Sequence[str], io_type: ComputeIOType, partial: bool = False) -> str:
    return "/".join([_LOGS, *log_key]) + f".{IO_TYPE_EXTENSION[io_type]}" + (".partial" if partial else "")
