"""Where months come from: which file holds one, whether it is published, and fetching it whole."""

from __future__ import annotations

from pathlib import Path

from taxi_platform.core.catalog import Catalog
from taxi_platform.core.source.errors import CorruptError, NotPublishedError, SourceError, UnavailableError
from taxi_platform.core.source.files import Edition, Publication, RawFile
from taxi_platform.core.source.folder import FolderOrigin
from taxi_platform.core.source.retry import RetryPolicy
from taxi_platform.core.source.sample import SampleOrigin
from taxi_platform.core.source.source import (
    Fetched,
    Source,
    base_candidates,
    mirror_candidates,
    sample_candidates,
    tlc_candidates,
    web_candidates,
)
from taxi_platform.core.urls import local_path

__all__ = [
    "CorruptError",
    "Edition",
    "Fetched",
    "NotPublishedError",
    "Publication",
    "RawFile",
    "RetryPolicy",
    "Source",
    "SourceError",
    "UnavailableError",
    "open_source",
]

_ON_THE_WEB = {"web": web_candidates, "tlc": tlc_candidates, "mirror": mirror_candidates}


def open_source(
    setting: str, raw_dir: Path, catalog: Catalog, sample_rows: int, retry: RetryPolicy | None = None
) -> Source:
    """The source that `TAXI_SOURCE` names.

    Args:
        setting: `web`, `tlc`, `mirror`, `sample`, or a base URL or folder.
        raw_dir: Where fetched files are kept.
        catalog: The contracts; the sample generator and the zone lookup need them.
        sample_rows: Rows of a generated month.
        retry: How patiently a source is asked, and how long a fetch may take.
    """
    folder, retry = local_path(setting), retry or RetryPolicy()
    if setting == "sample":
        return Source(SampleOrigin(catalog, sample_rows), sample_candidates, raw_dir)
    if folder is not None:
        return Source(FolderOrigin(folder), base_candidates(str(folder.absolute())), raw_dir, retry.deadline)
    # Only who downloads waits for requests to be imported.
    from taxi_platform.core.source.http import HttpOrigin
    from taxi_platform.core.source.pages import PagedOrigin

    candidates = _ON_THE_WEB.get(setting) or base_candidates(setting.rstrip("/"))
    return Source(PagedOrigin(HttpOrigin(retry)), candidates, raw_dir, retry.deadline)
