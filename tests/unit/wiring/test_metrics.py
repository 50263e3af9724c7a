"""What requests count reaches Prometheus as if it had been observed one by one."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Histogram, generate_latest

from gateway.wiring.metrics import Metrics

SECONDS = (0.0001, 0.005, 0.0051, 0.3, 4.9, 5.0, 60.0)
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


def lines_of(registry: CollectorRegistry, name: str) -> list[str]:
    text = generate_latest(registry).decode()
    return [line for line in text.splitlines() if line.startswith(name) and "_created" not in line]


def test_gathered_durations_equal_single_observations():
    """The flush uses two of the library's inner values; if a release changes them, this fails."""
    metrics = Metrics("city")
    registry = CollectorRegistry()
    name = "gateway_http_request_duration_seconds"
    single = Histogram(name, "x", ["route", "method", "code_class"], buckets=BUCKETS, registry=registry)

    for seconds in SECONDS:
        metrics.request_started()
        metrics.request_finished("/v1/verifications", "POST", 200, seconds)
        single.labels("/v1/verifications", "POST", "2xx").observe(seconds)
    metrics.flush()
    metrics.flush()

    assert lines_of(metrics.registry, name) == lines_of(registry, name)


def test_counters_and_the_gauge_follow_at_the_next_flush():
    metrics = Metrics("city")
    metrics.request_started()
    metrics.verified("onboarding", "clear")
    metrics.verified("onboarding", "clear")
    metrics.refused("not_found")

    metrics.flush()

    text = generate_latest(metrics.registry).decode()
    assert 'gateway_verifications_total{outcome="clear",purpose="onboarding"} 2.0' in text
    assert 'gateway_refusals_total{code="not_found"} 1.0' in text
    assert "gateway_http_requests_in_flight 1.0" in text
