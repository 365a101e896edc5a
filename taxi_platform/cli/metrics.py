"""The platform's figures as Prometheus reads them."""

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from taxi_platform.automation.figures import Figures, by_severity


class PlatformCollector(Collector):
    """Looks at the platform whenever somebody scrapes.

    Args:
        look: Who looks.
    """

    def __init__(self, look: Callable[[], Figures]) -> None:
        self._look = look

    def describe(self) -> list[GaugeMetricFamily]:
        """Prometheus' hook: what there will be is not looked at before somebody asks for it."""
        return []

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Prometheus' hook: everything, now."""
        found = self._look()
        yield from _of_datasets(found)
        runs = GaugeMetricFamily("taxi_runs", "Runs by state.", labels=["state"])
        for state, count in found.runs.items():
            runs.add_metric([state], count)
        wait = "How long the oldest run in the queue has waited."
        ticks = GaugeMetricFamily(
            "taxi_last_tick_timestamp_seconds",
            "When a sensor or schedule looked last, and how that ended.",
            labels=["name", "status"],
        )
        for it in found.ticks:
            ticks.add_metric([it.name, it.status], it.at)
        daemons = GaugeMetricFamily("taxi_daemon_healthy", "Whether a daemon is well (1) or not.", labels=["daemon"])
        for name, is_well in found.daemons.items():
            daemons.add_metric([name.lower()], float(is_well))
        disks = GaugeMetricFamily("taxi_disk_free_bytes", "What may still be written there.", labels=["keeps"])
        for name, room in found.disks.items():
            disks.add_metric([name], room.available)
        yield runs
        yield GaugeMetricFamily("taxi_queue_wait_seconds", wait, value=found.longest_wait_seconds)
        yield ticks
        yield daemons
        yield disks
        yield GaugeMetricFamily("taxi_lake_up", "Whether the lake could be asked (1).", value=float(found.lake_answers))


def _of_datasets(found: Figures) -> Iterator[GaugeMetricFamily]:
    of_newest = ["dataset", "month"]
    rows = GaugeMetricFamily("taxi_month_rows", "Cleaned rows of the newest month.", labels=of_newest)
    share = "Share of the newest month's rows that were turned away, 0 to 1."
    rejected = GaugeMetricFamily("taxi_month_rejected_share", share, labels=of_newest)
    age = GaugeMetricFamily("taxi_month_age_seconds", "How long ago the newest month ended.", labels=of_newest)
    months = GaugeMetricFamily("taxi_months", "Months that a layer holds.", labels=["dataset", "layer"])
    late = GaugeMetricFamily("taxi_month_late", "Whether a newer month should be here (1).", labels=["dataset"])
    failed = GaugeMetricFamily("taxi_months_failed", "Months whose newest run failed.", labels=["dataset"])
    outdated = GaugeMetricFamily("taxi_months_outdated", "Months an older contract made.", labels=["dataset"])
    checks = GaugeMetricFamily(
        "taxi_failed_checks", "Checks whose newest result does not hold.", labels=["dataset", "severity"]
    )
    for it in found.datasets:
        if it.newest is not None:
            labels = [it.dataset, str(it.newest)]
            rows.add_metric(labels, it.rows)
            rejected.add_metric(labels, it.rejected_share)
            age.add_metric(labels, it.age_seconds)
        for layer, count in it.months.items():
            months.add_metric([it.dataset, layer], count)
        late.add_metric([it.dataset], float(it.is_late))
        failed.add_metric([it.dataset], len(it.failed))
        outdated.add_metric([it.dataset], len(it.outdated))
        counted = by_severity(it)
        for severity in ("error", "warning"):
            checks.add_metric([it.dataset, severity], counted[severity])
    yield from (rows, rejected, age, months, late, failed, outdated, checks)


def registry_of(look: Callable[[], Figures]) -> CollectorRegistry:
    """What Prometheus' own server and writer take."""
    registry = CollectorRegistry()
    registry.register(PlatformCollector(look))
    return registry


def text_of(look: Callable[[], Figures]) -> str:
    """All figures in Prometheus' text format."""
    return generate_latest(registry_of(look)).decode()
