"""The highest rate within the limits: which step comes next, what the steps say, and the words for it. Pure."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np

from mlgate.evidence import Cause, Finding, Outcome
from mlgate.load.samples import Samples
from mlgate.quantities import format_number, format_share

# One doubling that carries less than this much more is noise or the end; two of them are the end.
GROWTH = 1.05

# Steps between the last concurrency within the limits and the first beyond.
STEPS_BETWEEN = 3
# Two concurrencies this close differ by less than two steps of a few seconds do.
CLOSE = 1.15

# More callers than this at once: the host's sockets and the generator's scheduling are measured, not the server.
MOST_CALLERS = 512

# From this share of a core on, one generator process may be what limits the rate.
GENERATOR_FULL = 0.90

# Below this share of its CPUs, what a server would carry at all of them is a guess of more than twenty times.
LEAST_SHARE = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What every answer is held to while the capacity is looked for.

    Attributes:
        p95_ms: Limit of the 95th percentile in ms; `None`: not limited.
        p99_ms: The same of the 99th.
        error_rate: Share of requests that may get no good answer.
    """

    p95_ms: float | None = None
    p99_ms: float | None = None
    error_rate: float = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A few seconds with a fixed number of callers, each of whom sends again as soon as it is answered.

    Attributes:
        callers: Requests under way at any time.
        rate: Good answers per second.
        n: Requests that ended within the measured part.
        errors: Those of them without a good answer.
        p50_ms: Median of the service time in ms; infinite where that request has no good answer.
        p95_ms: The same at 95 %.
        p99_ms: The same at 99 %.
        generator_cpu_share: CPU time of the generator over wall time; 1 is one core.
        exceeded: Which limit it exceeds, in words; empty where none.
    """

    callers: int
    rate: float
    n: int
    errors: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    generator_cpu_share: float
    exceeded: str

    @classmethod
    def of(cls, samples: Samples, *, callers: int, seconds: float, generator_cpu_share: float, limits: Limits) -> Self:
        """Return what the requests that ended within *seconds* say.

        A closed loop has no intended time: each caller waits for its answer. So the service time is held to the limits.
        """
        n = len(samples)
        times = np.where(samples.failed, np.inf, samples.service_ms) if n else np.array([np.inf])
        p50, p95, p99 = np.quantile(times, [0.5, 0.95, 0.99], method="inverted_cdf").tolist()
        errors = int(samples.failed.sum())
        return cls(
            callers=callers,
            rate=(n - errors) / seconds,
            n=n,
            errors=errors,
            p50_ms=p50,
            p95_ms=p95,
            p99_ms=p99,
            generator_cpu_share=generator_cpu_share,
            exceeded=_exceeded(n, errors, p95, p99, limits),
        )

    @property
    def within(self) -> bool:
        """Whether it keeps all limits."""
        return not self.exceeded

    @property
    def details(self) -> dict[str, Any]:
        """The step as JSON; `None` for a percentile among requests without a good answer."""
        texts = {name: value if np.isfinite(value) else None for name, value in self._numbers().items()}
        share = round(self.errors / self.n, 6) if self.n else None
        return {**asdict(self), **texts, "error_share": share, "within": self.within}

    def _numbers(self) -> dict[str, float]:
        names = ("rate", "p50_ms", "p95_ms", "p99_ms", "generator_cpu_share")
        return {name: round(getattr(self, name), 3) for name in names}


def _exceeded(n: int, errors: int, p95_ms: float, p99_ms: float, limits: Limits) -> str:
    if not n:
        return "no answer at all"
    if errors > limits.error_rate * n:
        return f"errors {format_share(errors / n)} > {format_share(limits.error_rate)}"
    for name, value, limit in (("p95", p95_ms, limits.p95_ms), ("p99", p99_ms, limits.p99_ms)):
        if limit is not None and value > limit:
            measured = f"{format_number(value, 3)} ms" if np.isfinite(value) else "no good answer"
            return f"{name} {measured} > {format_number(limit)} ms"
    return ""


def next_callers(steps: Sequence[Step], *, most: int = MOST_CALLERS) -> int | None:
    """Return how many callers the next step has, after *steps*; `None` where enough is known.

    1, 2, 4, … until a limit is exceeded or the rate no longer grows; then between the last within and the first beyond.

    Args:
        steps: In the order they ran.
        most: Callers that no step exceeds.
    """
    if not steps:
        return 1
    beyond = min((step.callers for step in steps if not step.within), default=None)
    if beyond is None:
        doubled = 2 * max(step.callers for step in steps)
        return None if doubled > most or _is_flat(steps) else doubled
    within = max((step.callers for step in steps if step.within and step.callers < beyond), default=0)
    first_beyond = next(index for index, step in enumerate(steps) if not step.within)
    if not within or len(steps) - first_beyond > STEPS_BETWEEN or beyond - within < 2 or beyond / within < CLOSE:
        return None
    # The geometric middle halves the ratio between the two, which is what is unknown.
    return min(max(round(math.sqrt(within * beyond)), within + 1), beyond - 1)


def most_steps(most: int = MOST_CALLERS) -> int:
    """Return how many steps `next_callers` asks for at most."""
    return int(math.log2(most)) + 1 + STEPS_BETWEEN


def _is_flat(steps: Sequence[Step]) -> bool:
    """Whether two doublings in a row carried no more than the best before them."""
    ordered = sorted(steps, key=lambda step: step.callers)
    if len(ordered) < 3:
        return False
    best_before = max(step.rate for step in ordered[:-2])
    return max(step.rate for step in ordered[-2:]) < GROWTH * best_before


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """The highest rate within the limits, and what lies beyond.

    Attributes:
        rate: Good answers per second; 0.0 where not even one caller stays within the limits.
        callers: Requests under way at that rate; 0 as above.
        stopped_by: Why there is no more, in words.
        steps: By number of callers.
    """

    rate: float
    callers: int
    stopped_by: str
    steps: tuple[Step, ...]

    @classmethod
    def of(cls, steps: Sequence[Step]) -> Self:
        """Return what *steps*, at least one, say."""
        ordered = tuple(sorted(steps, key=lambda step: step.callers))
        beyond = next((step for step in ordered if not step.within), None)
        # A larger number of callers within the limits after a smaller one beyond is luck.
        within = [step for step in ordered if step.within and (beyond is None or step.callers < beyond.callers)]
        best = max(within, key=lambda step: step.rate, default=None)
        return cls(
            rate=best.rate if best else 0.0,
            callers=best.callers if best else 0,
            stopped_by=_stopped_by(ordered, best, beyond),
            steps=ordered,
        )

    @property
    def generator_is_the_limit(self) -> bool:
        """Whether the generator, and not the server, had no more to give at the end."""
        return self.stopped_by.startswith("the generator")

    @property
    def details(self) -> dict[str, Any]:
        """The numbers behind `rate`, as JSON."""
        steps = [step.details for step in self.steps]
        return {"callers": self.callers, "stopped_by": self.stopped_by, "steps": steps}


def _stopped_by(ordered: Sequence[Step], best: Step | None, beyond: Step | None) -> str:
    last = beyond or ordered[-1]
    full = last.generator_cpu_share >= GENERATOR_FULL
    if best is not None and full and beyond is None:
        return f"the generator used {format_share(last.generator_cpu_share)} of a core"
    with_callers = f"with {format_number(last.callers)} {'caller' if last.callers == 1 else 'callers'}"
    return f"{last.exceeded} {with_callers}" if last.exceeded else f"the rate no longer grows {with_callers}"


def report_capacity(capacity: Capacity, *, rate: float, headroom: str = "") -> Finding:
    """Return the finding of `load.capacity`: advisory, and never part of a verdict.

    Args:
        capacity: As found.
        rate: Requests per second that the policy offers.
        headroom: `headroom_words`, where something is known.
    """
    at_least = "at least " if capacity.generator_is_the_limit else ""
    found = f"closed loop: {at_least}{_rate(capacity.rate)} within the limits, {format_number(capacity.callers)} under way at once"
    reason = f"{found}; {capacity.stopped_by}" if capacity.rate else f"closed loop: {capacity.stopped_by}"
    outcome, cause = Outcome.PASSED, None
    if capacity.rate < rate:
        # A generator that can send no more says nothing of what the model could do.
        ours = capacity.generator_is_the_limit
        outcome, cause = (Outcome.INCONCLUSIVE, Cause.HARNESS) if ours else (Outcome.FAILED, Cause.MODEL)
    return Finding(
        outcome=outcome,
        reason=f"{reason}; {headroom}" if headroom else reason,
        cause=cause,
        measured=capacity.rate,
        limit=rate,
        unit="1/s",
        n=sum(step.n for step in capacity.steps),
        details={"advisory": True, **capacity.details, **({"headroom": headroom} if headroom else {})},
    )


def headroom_words(rate: float, server_share: float | None, cpus: float, capacity: Capacity | None = None) -> str:
    """Say how much of its CPU the server uses at *rate*, and how far that goes.

    Args:
        rate: Requests per second that were carried.
        server_share: Cores' worth of CPU that the server used meanwhile; `None`: not measured.
        cpus: Cores' worth that it may use.
        capacity: As measured by `find_capacity`. `None`: where CPU would run out, in proportion.

    Returns:
        `100/s uses 63 % of one core; the limit is reached near 158/s`; empty where nothing is known.
    """
    parts = []
    if server_share is not None:
        cores = "one core" if cpus == 1 else f"{format_number(cpus)} cores"
        parts.append(f"{_rate(rate)} uses {format_share(round(server_share / cpus, 2))} of {cores}")
    if capacity is not None and capacity.rate and not capacity.generator_is_the_limit:
        parts.append(f"the limit is reached near {_rate(capacity.rate)}")
    elif capacity is not None and capacity.rate:
        parts.append(f"the limit is beyond {_rate(capacity.rate)}, which is what the generator can send")
    elif capacity is None and server_share is not None and server_share >= LEAST_SHARE * cpus:
        parts.append(f"the limit is reached near {_rate(rate * cpus / server_share)}")
    return "; ".join(parts)


def _rate(rate: float) -> str:
    # Rounded down: what is promised should hold.
    return f"{format_number(np.floor(rate) if rate >= 10 else rate, 3)}/s"
