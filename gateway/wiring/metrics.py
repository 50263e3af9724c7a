"""Prometheus metrics of one process, in the base units and names of ``docs/architecture.md``.

For: everything the gateway counts. Labels come from closed sets of ours, never from a partner's text.
With several workers the values live in files named by worker slot, not by process id, so that a restarted worker goes on
counting where the last one stopped (``PROMETHEUS_MULTIPROC_DIR`` is set by the supervisor).
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter as Counts
from functools import partial
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, values

from gateway.audit.guard import Doubt
from gateway.base.clock import Millis
from gateway.credit.feed_version import ReplicaState

_LATENCY_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_BATCH_BUCKETS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class _Times:
    """Durations counted by bucket since the last flush."""

    __slots__ = ("_counts", "_sum")

    def __init__(self) -> None:
        self._counts = [0] * (len(_LATENCY_BUCKETS) + 1)
        self._sum = 0.0

    def add(self, seconds: float) -> None:
        self._counts[bisect_left(_LATENCY_BUCKETS, seconds)] += 1
        self._sum += seconds

    def hand_over(self, child: Histogram) -> None:
        # The library has no call for many observations at once; these two are what its own `observe` adds to (a test holds
        # that the result is the same).
        for bucket, count in zip(child._buckets, self._counts, strict=True):  # noqa: SLF001 - see above
            if count:
                bucket.inc(count)
        child._sum.inc(self._sum)  # noqa: SLF001 - see above
        self._counts = [0] * len(self._counts)
        self._sum = 0.0


def name_process(slot: str) -> None:
    """Name this process's metric files by its slot. Must run before ``Metrics`` is made, once; does nothing for a lone process."""
    if values.ValueClass is not values.MutexValue:
        values.ValueClass = values.MultiProcessValue(process_identifier=lambda: slot)  # type: ignore[no-untyped-call] # the library carries no types


class Metrics:
    """All metrics of the gateway; implements the small protocols of those who count."""

    def __init__(self, feed: str) -> None:
        self._feed: Final = feed
        # A registry of its own, not the library's global one: several gateways may live in one process (tests do).
        self.registry: Final = CollectorRegistry()
        counter = partial(Counter, registry=self.registry)
        gauge = partial(Gauge, registry=self.registry)
        histogram = partial(Histogram, registry=self.registry)
        self._duration: Final = histogram(
            "gateway_http_request_duration_seconds",
            "Time from the request's first byte parsed to its answer handed to the socket",
            ["route", "method", "code_class"],
            buckets=_LATENCY_BUCKETS,
        )
        self._in_flight: Final = gauge(
            "gateway_http_requests_in_flight", "Requests being served", multiprocess_mode="livesum"
        )
        self._verifications: Final = counter(
            "gateway_verifications", "Answers given, by outcome", ["purpose", "outcome"]
        )
        self._refusals: Final = counter("gateway_refusals", "Requests refused, by stable code", ["code"])
        self._closed: Final = counter(
            "gateway_connections_closed", "Connections closed for what they cost, by reason", ["reason"]
        )
        self._append: Final = histogram(
            "gateway_audit_append_duration_seconds", "Time of one audit commit", buckets=_LATENCY_BUCKETS
        )
        self._batch: Final = histogram(
            "gateway_audit_batch_entries", "Leaves in one audit commit", buckets=_BATCH_BUCKETS
        )
        self._append_failures: Final = counter(
            "gateway_audit_append_failures", "Attempts of the audit commit that failed", ["reason"]
        )
        self._doubted: Final = gauge(
            "gateway_log_doubted",
            "1 while this host neither extends nor signs the log, by why",
            ["reason"],
            multiprocess_mode="mostrecent",
        )
        self._contradicted: Final = counter(
            "gateway_records_contradicted", "Stored records found to contradict the log", ["record", "column"]
        )
        self._feed_versions: Final = counter("gateway_feed_versions_applied", "Versions of the feed applied", ["kind"])
        self._feed_records: Final = counter("gateway_feed_records_applied", "Lines of the feed applied")
        self._feed_refused: Final = counter("gateway_feed_refused", "Versions or heads of the feed refused", ["reason"])
        self._feed_unreachable: Final = counter(
            "gateway_feed_unreachable", "Attempts to reach the feed that failed", ["reason"]
        )
        self._differences: Final = counter(
            "gateway_feed_replica_differences", "Rows and heads that contradict what was signed", ["kind"]
        )
        self._compared: Final = gauge(
            "gateway_feed_replica_compared_timestamp_seconds",
            "When every row of the replica was last compared with what was signed, and right",
            multiprocess_mode="mostrecent",
        )
        self._replica_doubted: Final = gauge(
            "gateway_feed_replica_doubted",
            "1 while this host answers nothing from its replica",
            multiprocess_mode="mostrecent",
        )
        self._feed_version: Final = gauge(
            "gateway_feed_version", "The version of the feed that answers rest on", multiprocess_mode="mostrecent"
        )
        self._quarantined: Final = gauge(
            "gateway_feed_quarantined_lines", "Lines in quarantine", multiprocess_mode="mostrecent"
        )
        self._as_of: Final = gauge(
            "gateway_source_as_of_timestamp_seconds",
            "The instant the feed's facts are true for",
            ["source"],
            multiprocess_mode="mostrecent",
        )
        # What requests count is gathered here and handed to the library once a second: its histograms and shared files cost
        # several microseconds a call. Owned by the event loop's thread.
        self._now_in_flight = 0
        self._times: Final[dict[tuple[str, str, int], _Times]] = {}
        self._answers: Final[Counts[tuple[str, str]]] = Counts()
        self._refused: Final[Counts[str]] = Counts()
        self._ended: Final[Counts[str]] = Counts()

    # Requests
    def request_started(self) -> None:
        """A request's head was parsed."""
        self._now_in_flight += 1

    def request_finished(self, route: str, method: str, status: int, seconds: float) -> None:
        """A request was answered. ``route`` is a template of ours."""
        self._now_in_flight -= 1
        key = (route, method, status // 100)
        times = self._times.get(key)
        if times is None:
            times = self._times[key] = _Times()
        times.add(seconds)

    def refused(self, code: str) -> None:
        """A request was refused with a stable code."""
        self._refused[code] += 1

    def connection_closed(self, reason: str) -> None:
        """A connection was closed for what it cost: a reader that did not read, or one too many."""
        self._ended[reason] += 1

    def verified(self, purpose: str, outcome: str) -> None:
        """An answer was given."""
        self._answers[purpose, outcome] += 1

    def flush(self) -> None:
        """Hand what was gathered to the library; called once a second and when the process ends."""
        self._in_flight.set(self._now_in_flight)
        for (route, method, hundreds), times in self._times.items():
            times.hand_over(self._duration.labels(route, method, f"{hundreds}xx"))
        for (purpose, outcome), count in self._answers.items():
            self._verifications.labels(purpose, outcome).inc(count)
        for code, count in self._refused.items():
            self._refusals.labels(code).inc(count)
        for reason, count in self._ended.items():
            self._closed.labels(reason).inc(count)
        self._ended.clear()
        self._answers.clear()
        self._refused.clear()

    # The audit commit
    def batch_committed(self, entries: int, seconds: float) -> None:
        """One batch became durable."""
        self._append.observe(seconds)
        self._batch.observe(entries)

    def batch_failed(self, reason: str) -> None:
        """One attempt failed."""
        self._append_failures.labels(reason).inc()

    def log_stands(self, doubt: Doubt | None) -> None:
        """Set the gauge of each doubt that there can be."""
        for possible in Doubt:
            self._doubted.labels(possible).set(possible is doubt)

    def record_contradicted(self, record: str, column: str) -> None:
        """A stored record contradicts the log; both words are ours."""
        self._contradicted.labels(record, column).inc()

    # The feed
    def version_applied(self, kind: str, records: int) -> None:
        """One version of the feed is being answered from now on."""
        self._feed_versions.labels(kind).inc()
        self._feed_records.inc(records)

    def feed_refused(self, reason: str) -> None:
        """A head or version of the feed was refused."""
        self._feed_refused.labels(reason).inc()

    def feed_stands_at(self, state: ReplicaState) -> None:
        """Set the gauges of version, freshness and lines in quarantine."""
        self._feed_version.set(state.version)
        self._as_of.labels(self._feed).set(state.as_of_ms / 1000)
        self._quarantined.set(state.quarantined)

    def replica_differs(self, kind: str, count: int) -> None:
        """Rows, or the head, contradict what the platform signed."""
        self._differences.labels(kind).inc(count)

    def replica_compared(self, now_ms: Millis) -> None:
        """Every row was compared and found right."""
        self._compared.set(now_ms / 1000)

    def replica_doubted(self, *, doubted: bool) -> None:
        """Answers from the replica are stopped on this host, or go on."""
        self._replica_doubted.set(int(doubted))

    def feed_unreachable(self, reason: str) -> None:
        """The municipal platform could not be reached."""
        self._feed_unreachable.labels(reason).inc()
