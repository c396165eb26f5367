"""What Prometheus scrapes: counters that exist at zero from the start."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

STATUS_CLASSES = ("1xx", "2xx", "3xx", "4xx", "5xx")
# Around the limits people set (100 ms, 250 ms, 10 s); the suites measure on their own and do not read these.
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """Counts of requests for predictions; probes and scrapes are not traffic. One registry per app, so that apps can share a process."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        requests = Counter(
            "mlgate_requests", "Answered invocations by status class.", ["status"], registry=self._registry
        )
        self._by_class = {name: requests.labels(name) for name in STATUS_CLASSES}
        self.in_flight = Gauge("mlgate_requests_in_flight", "Invocations being answered.", registry=self._registry)
        self._duration = Histogram(
            "mlgate_request_duration_seconds",
            "Seconds from the request's head to the last byte of the answer.",
            buckets=BUCKETS,
            registry=self._registry,
        )

    def observe(self, status: int, seconds: float) -> None:
        """Count one answered invocation."""
        self._by_class[f"{min(max(status // 100, 1), 5)}xx"].inc()
        self._duration.observe(seconds)

    def text(self) -> bytes:
        """Return the exposition, text format 0.0.4."""
        text: bytes = generate_latest(self._registry)
        return text
