"""What every lake keeps of a month beside its trips: raw editions, the choice among them, and the quarantine."""

import logging
import os
from dataclasses import replace
from pathlib import Path

import pytest

from taxi_platform.core.catalog import load_catalog
from taxi_platform.core.errors import LakeError
from taxi_platform.core.files import sha256_of
from taxi_platform.core.lake import Lake, open_lake
from taxi_platform.core.lake.layers import MonthLayers, lineages_in, quarantine_name
from taxi_platform.core.month import Month
from taxi_platform.core.source import RawFile, open_source
from taxi_platform.resources import lake_of
from taxi_platform.settings import Settings
from taxi_platform_tests.core.lake.test_lakes import LAKES
from taxi_platform_tests.core.warehouse.months import contract_of, numbered_file

GREEN, MONTH = load_catalog().trips["green"], Month(2021, 1)
LOG = logging.getLogger("taxi_platform.tests")


@pytest.fixture(params=[it for it in LAKES if it != "file URL"])
def lake(request: pytest.FixtureRequest, tmp_path: Path) -> Lake:
    url = LAKES[request.param](request)
    # As commands open it: with all that the settings say, an account among it.
    given = {**os.environ, "TAXI_LAKE_URL": url, "TAXI_DATA_DIR": str(tmp_path)}
    return lake_of(Settings.from_env(given)).open()


@pytest.fixture
def layers(lake: Lake) -> MonthLayers:
    return MonthLayers(lake, "green", MONTH)


def edition(folder: Path, rows: int) -> RawFile:
    """A month fetched into a data folder."""
    return open_source("sample", folder / "raw", load_catalog(), rows).fetch(GREEN, MONTH, LOG).raw


def test_every_edition_is_kept_and_comes_back_as_it_was_fetched(layers: MonthLayers, tmp_path: Path) -> None:
    first, second = edition(tmp_path / "one", 20), edition(tmp_path / "two", 30)
    for raw in (first, second, first):
        layers.keep(raw)

    assert {(it.sha256, it.rows) for it in layers.editions()} == {(first.sha256, 20), (second.sha256, 30)}
    for raw in (first, second):
        brought = layers.bring(raw.sha256, tmp_path / "elsewhere" / "raw", LOG)
        assert sha256_of(brought.path) == raw.sha256
        assert brought.is_whole
        assert brought == RawFile.in_folder(brought.path.parent)
        assert (brought.publication, brought.fetched_at, brought.rows) == (raw.publication, raw.fetched_at, raw.rows)


def test_a_folder_lake_and_the_data_folder_share_the_bytes_of_an_edition(tmp_path: Path) -> None:
    layers, raw = MonthLayers(open_lake(str(tmp_path / "lake"), tmp_path), "green", MONTH), edition(tmp_path, 20)
    layers.keep(raw)
    (kept,) = (tmp_path / "lake" / "_raw" / "green" / "2021-01" / raw.sha256).glob("green_*")
    assert kept.samefile(raw.path)


def test_an_edition_whose_provenance_never_arrived_is_none(layers: MonthLayers, tmp_path: Path) -> None:
    raw = edition(tmp_path / "one", 20)
    layers.lake.put_object(f"_raw/green/2021-01/{raw.sha256}/{raw.path.name}", raw.path, raw.sha256)
    assert layers.editions() == []
    with pytest.raises(LakeError, match="taxi editions green 2021-01 lists those it holds"):
        layers.bring(raw.sha256, tmp_path / "elsewhere", LOG)


def test_an_edition_that_somebody_changed_in_the_lake_is_not_taken(tmp_path: Path) -> None:
    layers, raw = MonthLayers(open_lake(str(tmp_path / "lake"), tmp_path), "green", MONTH), edition(tmp_path, 20)
    layers.keep(raw)
    raw.path.write_bytes(raw.path.read_bytes()[:-1])
    with pytest.raises(LakeError, match="not what was put there"):
        layers.bring(raw.sha256, tmp_path / "elsewhere", LOG)


def test_a_file_that_is_another_by_now_is_not_kept_as_the_edition_it_was(layers: MonthLayers, tmp_path: Path) -> None:
    raw = edition(tmp_path / "one", 20)
    raw.path.write_bytes(raw.path.read_bytes() + b"!")
    with pytest.raises(LakeError, match="not equal to the file it was made of"):
        layers.keep(raw)
    assert layers.editions() == []


def test_what_is_pinned_stays_chosen_whatever_is_fetched(layers: MonthLayers, tmp_path: Path) -> None:
    first, second = edition(tmp_path / "one", 20), edition(tmp_path / "two", 30)
    for raw in (first, second):
        layers.keep(raw)
    assert layers.choice() is None
    layers.taken(first)
    assert not layers.is_pinned
    layers.choose(first.sha256, pinned=True)
    layers.taken(second)

    choice = layers.choice()
    assert choice
    assert (choice.sha256, choice.pinned) == (first.sha256, True)
    assert layers.is_pinned
    assert not replace(layers, dataset="yellow").is_pinned
    assert not replace(layers, month=MONTH.next).is_pinned
    layers.choose(first.sha256, pinned=False)
    layers.taken(second)
    choice = layers.choice()
    assert choice
    assert (choice.sha256, choice.pinned) == (second.sha256, False)


def test_no_more_editions_are_kept_than_is_asked_and_the_one_the_month_is_made_of_stays(
    layers: MonthLayers, tmp_path: Path
) -> None:
    raws = [edition(tmp_path / str(rows), rows) for rows in (10, 20, 30, 40)]
    for raw in raws:
        layers.keep(raw)
    oldest = layers.editions()[0]
    layers.choose(oldest.sha256, pinned=False)

    assert layers.forget(0) == []
    assert len(layers.forget(2)) == 1
    left = {it.sha256 for it in layers.editions()}
    assert len(left) == 3
    assert oldest.sha256 in left
    assert layers.forget(3) == []


def test_where_months_came_from_is_read_from_their_quarantine(lake: Lake, tmp_path: Path) -> None:
    contract = contract_of()
    file = numbered_file(contract, MONTH, 3, "x", tmp_path / "month")
    MonthLayers(lake, contract.dataset, MONTH).keep_quarantine(file)
    assert lineages_in(lake, contract.dataset, {MONTH, MONTH.next}) == {MONTH: file.lineage}
    assert lake.list_objects("_quarantine/").keys() == {quarantine_name(contract.dataset, MONTH)}
    lake.remove_object(quarantine_name(contract.dataset, MONTH))
    lake.remove_object(quarantine_name(contract.dataset, MONTH))
    assert lineages_in(lake, contract.dataset, {MONTH}) == {}
