"""A month read a second time, by the plainest means: Python's csv module or pyarrow, and the tables below.

The tables were written by hand from TLC's files and dictionaries; nothing here asks the contracts.
"""

from __future__ import annotations

import csv
import gzip
import math
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

Row = dict[str, Any]
#: Stands for a value that is filled and is none of its kind.
BROKEN = object()

#: Dataset -> canonical column, what it holds, and every name it was ever published under.
NAMES = {
    "yellow": """
        vendor_id              vendor  vendor_name vendor_id VendorID
        pickup_datetime        time    Trip_Pickup_DateTime pickup_datetime tpep_pickup_datetime
        dropoff_datetime       time    Trip_Dropoff_DateTime dropoff_datetime tpep_dropoff_datetime
        passenger_count        int     Passenger_Count passenger_count
        trip_distance          float   Trip_Distance trip_distance
        rate_code_id           int     Rate_Code rate_code RateCodeID RatecodeID
        store_and_fwd_flag     text    store_and_forward store_and_fwd_flag
        pickup_location_id     int     PULocationID
        dropoff_location_id    int     DOLocationID
        location_id_origin     origin
        pickup_longitude       float   Start_Lon pickup_longitude
        pickup_latitude        float   Start_Lat pickup_latitude
        dropoff_longitude      float   End_Lon dropoff_longitude
        dropoff_latitude       float   End_Lat dropoff_latitude
        payment_type           payment Payment_Type payment_type
        fare_amount            float   Fare_Amt fare_amount
        extra                  float   surcharge extra
        mta_tax                float   mta_tax
        tip_amount             float   Tip_Amt tip_amount
        tolls_amount           float   Tolls_Amt tolls_amount
        improvement_surcharge  float   improvement_surcharge
        total_amount           float   Total_Amt total_amount
        congestion_surcharge   float   congestion_surcharge
        airport_fee            float   airport_fee Airport_fee
        cbd_congestion_fee     float   cbd_congestion_fee
        request_source         text    request_source
        vendor_text            words
        payment_text           words
    """,
    "green": """
        vendor_id              int     VendorID
        pickup_datetime        time    lpep_pickup_datetime
        dropoff_datetime       time    Lpep_dropoff_datetime lpep_dropoff_datetime
        passenger_count        int     Passenger_count passenger_count
        trip_distance          float   Trip_distance trip_distance
        rate_code_id           int     RateCodeID RatecodeID
        store_and_fwd_flag     text    Store_and_fwd_flag store_and_fwd_flag
        pickup_location_id     int     PULocationID
        dropoff_location_id    int     DOLocationID
        location_id_origin     origin
        pickup_longitude       float   Pickup_longitude
        pickup_latitude        float   Pickup_latitude
        dropoff_longitude      float   Dropoff_longitude
        dropoff_latitude       float   Dropoff_latitude
        payment_type           int     Payment_type payment_type
        trip_type              int     Trip_type trip_type
        fare_amount            float   Fare_amount fare_amount
        extra                  float   Extra extra
        mta_tax                float   MTA_tax mta_tax
        tip_amount             float   Tip_amount tip_amount
        tolls_amount           float   Tolls_amount tolls_amount
        ehail_fee              float   Ehail_fee ehail_fee
        improvement_surcharge  float   improvement_surcharge
        total_amount           float   Total_amount total_amount
        congestion_surcharge   float   congestion_surcharge
        cbd_congestion_fee     float   cbd_congestion_fee
        request_source         text    request_source
    """,
    "fhv": """
        dispatching_base_num   text    Dispatching_base_number Dispatching_base_num dispatching_base_num
        pickup_datetime        time    Pickup_date Pickup_DateTime pickup_datetime
        dropoff_datetime       time    DropOff_datetime dropOff_datetime dropoff_datetime
        pickup_location_id     int     locationID PUlocationID PULocationID
        dropoff_location_id    int     DOlocationID DOLocationID
        shared_ride_flag       int     SR_Flag
        affiliated_base_number text    Affiliated_base_number
    """,
    "fhvhv": """
        hvfhs_license_num      text    hvfhs_license_num
        dispatching_base_num   text    dispatching_base_num
        originating_base_num   text    originating_base_num
        request_datetime       time    request_datetime
        on_scene_datetime      time    on_scene_datetime
        pickup_datetime        time    pickup_datetime
        dropoff_datetime       time    dropoff_datetime
        pickup_location_id     int     PULocationID
        dropoff_location_id    int     DOLocationID
        trip_distance          float   trip_miles
        trip_time              int     trip_time
        base_passenger_fare    float   base_passenger_fare
        tolls_amount           float   tolls
        black_car_fund         float   bcf
        sales_tax              float   sales_tax
        congestion_surcharge   float   congestion_surcharge
        airport_fee            float   airport_fee
        tip_amount             float   tips
        driver_pay             float   driver_pay
        shared_request_flag    text    shared_request_flag
        shared_match_flag      text    shared_match_flag
        access_a_ride_flag     text    access_a_ride_flag
        wav_request_flag       text    wav_request_flag
        wav_match_flag         text    wav_match_flag
        shared_ride_flag       int     SR_Flag
        cbd_congestion_fee     float   cbd_congestion_fee
    """,
}
VENDORS = {"CMT": 1, "VTS": 2, "DDS": None}
PAYMENTS = {
    1: ["Credit", "CREDIT", "Cre", "CRE", "CRD", "Crd"],
    2: ["Cash", "CASH", "Cas", "CAS", "CSH", "Csh"],
    3: ["No Charge", "NO CHARGE", "No", "NO", "NOC", "Noc"],
    4: ["Dispute", "DISPUTE", "Dis", "DIS"],
    5: ["UNK", "Unk", "NA", "Na"],
}
_WORDS = {
    "vendor": VENDORS,
    "payment": {spelling: code for code, spellings in PAYMENTS.items() for spelling in spellings},
}


def columns_of(dataset: str) -> dict[str, tuple[str, list[str]]]:
    """Canonical column -> what it holds, its published names."""
    lines = [line.split() for line in NAMES[dataset].strip().splitlines()]
    return {canonical: (kind, names) for canonical, kind, *names in lines}


def rows_of(path: Path, dataset: str) -> list[Row]:
    """Every row of a file, in its order, as canonical column -> value; a line cut in an LF file is one too."""
    columns = columns_of(dataset)
    return [_canonical(columns, published) for published in _published(path)]


def is_turned_away(row: Row) -> bool:
    """Whether the rules that reject by themselves turn a row away."""
    return BROKEN in row.values() or row["pickup_datetime"] is None or row.get("passenger_count") == 0


def _published(path: Path) -> Iterator[dict[str, Any]]:
    if path.suffix == ".parquet":
        yield from pq.read_table(path).to_pylist()
        return
    packed = path.suffix == ".gz"
    text = (gzip.decompress(path.read_bytes()) if packed else path.read_bytes()).decode("latin-1")
    lines = [line for line in text.split("\n") if line.strip("\r")]
    if text.count("\r\n") and not text.endswith("\n"):
        lines.pop()
    names, *rows = csv.reader(line.removesuffix("\r") for line in lines)
    for row in rows:
        yield dict(zip((name.strip() for name in names), row, strict=False))


def _canonical(columns: dict[str, tuple[str, list[str]]], published: dict[str, Any]) -> Row:
    row: Row = {}
    for canonical, (kind, names) in columns.items():
        filled = [value for name in names if (value := published.get(name)) not in (None, "")]
        value = filled[0] if filled else None
        if kind in _WORDS:
            known = _WORDS[kind]
            is_number = isinstance(value, int | float) or (isinstance(value, str) and value.strip().isdigit())
            row[canonical] = _integer(value) if is_number else known.get(str(value).strip())
            row[f"{canonical.partition('_')[0]}_text"] = None if is_number else _text(value)
        elif kind == "origin":  # of the two before it; there are no shapes to derive any by
            ids = (row["pickup_location_id"], row["dropoff_location_id"])
            row[canonical] = "published" if any(it is not None and it is not BROKEN for it in ids) else None
        elif kind != "words":
            row[canonical] = None if value is None else _READ[kind](value)
    return {canonical: row[canonical] for canonical in columns}


def _integer(value: Any) -> Any:
    number = _number(value)
    if number is None or number is BROKEN:
        return number
    return int(number) if number == int(number) else BROKEN


def _number(value: Any) -> Any:
    if isinstance(value, str):
        value = value.strip()
        if not value:
            return None
    try:
        number = float(value)
    except ValueError:
        return BROKEN
    if math.isnan(number) and not isinstance(value, str):
        return None
    return number if math.isfinite(number) else BROKEN


def _text(value: Any) -> Any:
    return (value or "").strip(' \t"') or None


def _time(value: Any) -> Any:
    if isinstance(value, datetime):
        return value
    try:
        return datetime.fromisoformat(value.strip()) if value.strip() else None
    except ValueError:
        return BROKEN


_READ: dict[str, Callable[[Any], Any]] = {"int": _integer, "float": _number, "text": _text, "time": _time}
