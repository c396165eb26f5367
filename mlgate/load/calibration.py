"""What this host and generator add to a response time, from samples against a server of known service time. Pure."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from mlgate.load.judgement.health import LAG_SHARE
from mlgate.load.judgement.words import rounded
from mlgate.load.samples import Samples
from mlgate.quantities import format_number, format_share

# The calibration is a few seconds. One hiccup of the host delays a burst of it, which is over 1 % of so few requests;
# a host too small adds all the time. Hence more than half of the parts must say so.
PARTS = 4

# A process that runs this share of the time has no room for a burst; from here its queue is what is measured.
BUSY_SHARE = 0.80


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """What came on top of a known service time, counted from the intended send.

    Attributes:
        service_ms: What the no-op server takes, in ms.
        n: Requests.
        added_p95_ms: 95th percentile of response time less `service_ms`; infinite where that request has no answer.
        added_p99_ms: The 99th.
        send_lag_p99_ms: 99th percentile of how late they left, in ms: the part before the server.
        part_p99_ms: `added_p99_ms` of each of `PARTS` equal parts of the calibration, in their order.
        generator_cpu_share: CPU time of the generator over wall time; 1 is one core. `None`: not measured.
    """

    service_ms: float
    n: int
    added_p95_ms: float
    added_p99_ms: float
    send_lag_p99_ms: float
    part_p99_ms: tuple[float, ...]
    generator_cpu_share: float | None = None

    @classmethod
    def of(cls, samples: Samples, *, service_ms: float, generator_cpu_share: float | None = None) -> Self:
        """Return what the requests of *samples*, all sent to the no-op server, took longer than *service_ms*.

        Args:
            samples: At least one intended request, in the order of the schedule.
            service_ms: Service time of the server, in ms.
            generator_cpu_share: Of the generator meanwhile, where measured.

        Raises:
            ValueError: No samples.
        """
        if not len(samples):
            raise ValueError("a calibration without a request says nothing")
        added = np.where(samples.failed, np.inf, samples.response_ms - service_ms)
        lag = np.where(samples.sent, samples.send_lag_ms, np.inf)
        return cls(
            service_ms=service_ms,
            n=len(samples),
            added_p95_ms=_quantile(added, 0.95),
            added_p99_ms=_quantile(added, 0.99),
            send_lag_p99_ms=_quantile(lag, 0.99),
            part_p99_ms=tuple(_quantile(part, 0.99) for part in np.array_split(added, min(PARTS, len(added)))),
            generator_cpu_share=generator_cpu_share,
        )

    @property
    def words(self) -> str:
        """What was added, for a person: `p95 0.8 ms and p99 2.1 ms above its 5 ms (n = 200)`."""
        p95, p99, service = _ms(self.added_p95_ms), _ms(self.added_p99_ms), _ms(self.service_ms)
        return f"p95 {p95} and p99 {p99} above its {service} (n = {format_number(self.n)})"

    @property
    def details(self) -> dict[str, Any]:
        """The numbers and `words`, as JSON; `None` for what is infinite."""
        numbers = {name: rounded(getattr(self, name)) for name in ("added_p95_ms", "added_p99_ms", "send_lag_p99_ms")}
        cpu = {"generator_cpu_share": self.generator_cpu_share}
        return {"text": self.words, "service_ms": self.service_ms, "n": self.n, **numbers, **cpu}


def too_small(calibration: Calibration, tightest_limit_ms: float, rate: float) -> str | None:
    """Say why host and generator are too small for *rate*, and what to do; `None` where they are not.

    They are, where at p99 they add more than a tenth of the tightest limit, over most of the calibration.

    Args:
        calibration: Measured at *rate*.
        tightest_limit_ms: The smallest latency limit that the run is judged by, in ms.
        rate: Requests per second of the calibration.

    Returns:
        What was measured, then "; " and the advice.
    """
    allowed = LAG_SHARE * tightest_limit_ms
    parts_over = sum(part > allowed for part in calibration.part_p99_ms)
    if calibration.added_p99_ms <= allowed or 2 * parts_over <= len(calibration.part_p99_ms):
        return None
    against = f"against a server of {format_number(calibration.service_ms, 3)} ms, answers at {format_number(rate)}/s"
    limit = f"more than {format_number(allowed, 3)} ms (10 % of the tightest limit)"
    measured = f"generator or host too small: {against} {_late(calibration.added_p99_ms)}, {limit}"
    return f"{measured}{_where(calibration, allowed)}; {_advice(calibration)}"


def _late(added_ms: float) -> str:
    return f"came {_ms(added_ms)} late at p99" if np.isfinite(added_ms) else "did not all come"


def _where(calibration: Calibration, allowed_ms: float) -> str:
    """Name the generator where the lateness was there before a request left, and its CPU where it was busy."""
    parts = []
    if calibration.send_lag_p99_ms > allowed_ms:
        left = (
            f"left {_ms(calibration.send_lag_p99_ms)} late"
            if np.isfinite(calibration.send_lag_p99_ms)
            else "did not all leave"
        )
        parts.append(f"they {left}")
    if _is_busy(calibration):
        parts.append(f"the generator used {format_share(calibration.generator_cpu_share or 0.0)} of a core")
    return f": {', '.join(parts)}" if parts else ""


def _advice(calibration: Calibration) -> str:
    if _is_busy(calibration):
        return "raise load.workers on a host with free cores, or lower load.rate"
    return "stop other work on the host, use one with more cores, or lower load.rate"


def _is_busy(calibration: Calibration) -> bool:
    return (calibration.generator_cpu_share or 0.0) >= BUSY_SHARE


def _ms(value: float) -> str:
    return f"{format_number(value, 3)} ms" if np.isfinite(value) else "no answer"


def _quantile(values: NDArray[np.float64], q: float) -> float:
    # An observed value: interpolation between a number and infinity is not one.
    return float(np.quantile(values, q, method="inverted_cdf"))
