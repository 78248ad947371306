"""Prometheus metrics of the service, summed over its workers."""

from __future__ import annotations

import os
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, multiprocess

from nightreel.reader.live_reader import Status

SHARED = "PROMETHEUS_MULTIPROC_DIR"  # prometheus_client's variable: a folder for the counts of all workers
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


@dataclass(frozen=True)
class Metrics:
    """Metrics of one process, created by `fresh`."""

    registry: CollectorRegistry
    requests: Counter
    seconds: Histogram
    cached: Counter
    logged: Counter
    lost: Counter
    age: Gauge
    swaps: Gauge
    faulty: Gauge

    @classmethod
    def fresh(cls) -> Metrics:
        """Create the metrics with a registry of their own."""
        own = CollectorRegistry()
        return cls(
            own,
            Counter("nightreel_requests", "HTTP requests answered.", ["route", "code"], registry=own),
            Histogram(
                "nightreel_request_seconds",
                "Time to answer a request, in seconds.",
                ["route"],
                buckets=BUCKETS,
                registry=own,
            ),
            Counter("nightreel_cached_answers", "Responses served from the cache.", registry=own),
            Counter("nightreel_slates_logged", "Lists logged as impressions.", registry=own),
            Counter("nightreel_slates_lost", "Lists that could not be logged as impressions.", registry=own),
            Gauge(
                "nightreel_index_age_seconds",
                "Seconds since the served version was published.",
                registry=own,
                multiprocess_mode="mostrecent",
            ),
            Gauge(
                "nightreel_version_swaps",
                "Version changes since the service started.",
                registry=own,
                multiprocess_mode="max",
            ),
            Gauge(
                "nightreel_refresh_faulty",
                "1 while a new version is refused or the store can't be reached.",
                registry=own,
                multiprocess_mode="mostrecent",
            ),
        )

    def text(self, status: Status) -> bytes:
        """The text that Prometheus reads."""
        self.age.set(status.age_s() or 0.0)
        self.swaps.set(status.swaps)
        self.faulty.set(status.fault is not None)
        if SHARED not in os.environ:
            return generate_latest(self.registry)
        together = CollectorRegistry()
        multiprocess.MultiProcessCollector(together)  # type: ignore[no-untyped-call]
        return generate_latest(together)
