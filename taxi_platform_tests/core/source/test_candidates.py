"""Which files may hold a month, and in which order they are tried."""

from __future__ import annotations

import pytest

from taxi_platform.core.source.files import Publication, Wanted
from taxi_platform.core.source.source import base_candidates, sample_candidates, web_candidates

MIRROR = "https://github.com/DataTalksClub/nyc-tlc-data/releases/download"
TLC = "https://d37ci6vzurychx.cloudfront.net"
ZONES = Wanted("taxi_zones", "taxi_zones", "", ("taxi_zone_lookup.csv",))


def wanted(dataset: str, month: str) -> Wanted:
    stem = f"{dataset}_tripdata_{month}"
    return Wanted(f"{dataset} {month}", dataset, month, (f"{stem}.csv.gz", f"{stem}.csv", f"{stem}.parquet"))


@pytest.mark.parametrize("dataset", ["yellow", "green"])
@pytest.mark.parametrize("month", ["2019-01", "2020-06", "2021-07"])
def test_the_mirror_is_tried_first_for_the_months_it_has(dataset: str, month: str) -> None:
    assert web_candidates(wanted(dataset, month)) == (
        f"{MIRROR}/{dataset}/{dataset}_tripdata_{month}.csv.gz",
        f"{TLC}/trip-data/{dataset}_tripdata_{month}.parquet",
    )


@pytest.mark.parametrize(
    ("dataset", "month"),
    [("yellow", "2018-12"), ("yellow", "2021-08"), ("green", "2014-01"), ("green", "2026-01"), ("fhvhv", "2019-02")],
)
def test_tlcs_parquet_is_all_there_is_for_other_months(dataset: str, month: str) -> None:
    assert web_candidates(wanted(dataset, month)) == (f"{TLC}/trip-data/{dataset}_tripdata_{month}.parquet",)


def test_the_zone_lookup_is_tlcs_own() -> None:
    assert web_candidates(ZONES) == (f"{TLC}/misc/taxi_zone_lookup.csv",)


def test_a_base_is_asked_for_packed_plain_and_parquet() -> None:
    assert base_candidates("https://example.org/tlc")(wanted("green", "2020-04")) == (
        "https://example.org/tlc/green_tripdata_2020-04.csv.gz",
        "https://example.org/tlc/green_tripdata_2020-04.csv",
        "https://example.org/tlc/green_tripdata_2020-04.parquet",
    )


def test_a_base_is_asked_for_the_zones_directly_and_below_misc() -> None:
    assert base_candidates("https://example.org/tlc")(ZONES) == (
        "https://example.org/tlc/taxi_zone_lookup.csv",
        "https://example.org/tlc/misc/taxi_zone_lookup.csv",
    )


def test_a_generated_month_is_called_by_its_file_name() -> None:
    assert sample_candidates(wanted("green", "2020-04"))[0] == "sample://green_tripdata_2020-04.csv.gz"


def test_a_publication_is_named_by_its_url() -> None:
    assert Publication("https://x/y/green_tripdata_2020-04.csv.gz").name == "green_tripdata_2020-04.csv.gz"
    assert Publication("https://x/green_tripdata_2020-04.parquet?sig=***").edition == "parquet"
    assert Publication("https://x/green_tripdata_2020-04.csv").edition == "csv"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (Publication("u", 1, "a", "t"), Publication("u", 2, "a", "s"), True),
        (Publication("u", 1, "a", "t"), Publication("u", 1, "b", "t"), False),
        (Publication("u", 1, None, "t"), Publication("u", 1, "b", "t"), True),
        (Publication("u", 1, None, "t"), Publication("u", 1, None, "s"), False),
        (Publication("u", 1, None, None), Publication("u", 1, None, None), False),
        (Publication("u", None, None, "t"), Publication("u", None, None, "t"), False),
    ],
)
def test_versions_are_told_apart_by_etag_or_else_by_size_and_time_together(
    one: Publication, other: Publication, same: bool
) -> None:
    assert one.is_same_version_as(other) is same
