"""Files without months that are not on TLC's file server, by their names: where they are."""

from __future__ import annotations

from taxi_platform.core import zone_shapes

MONTHLY_REPORT, BASE_REPORT = "data_reports_monthly.csv", "fhv_base_report.csv"
ELSEWHERE = {
    zone_shapes.FILE: zone_shapes.PUBLISHED,
    MONTHLY_REPORT: "https://www.nyc.gov/assets/tlc/downloads/csv/data_reports_monthly.csv",
    # By pages, in an order that stays (`pages.py`).
    BASE_REPORT: "https://data.cityofnewyork.us/resource/2v9c-2k7f.csv?$order=:id",
}
