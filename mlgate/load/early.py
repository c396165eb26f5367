"""Fail fast, never pass fast: when a run is so bad already that the rest of it can not matter. Pure but for its counts.

Two rules, for each limit, on the share of requests in each second that violate it. A request whose answer is not in yet
counts as good until it is older than the limit.

1. Curtailment: the whole run's judgement is failed though every remaining request were good.
2. Betting against "on average at most the limit share violates": a factor 1 + b (x - p) for a second in which the share x
   violates, with p the limit share and b at most 1/p. Its mean is at most 1 whatever the dependence within the second, so the
   product exceeds 1/alpha with a chance of at most alpha, however often it is looked at (Waudby-Smith and Ramdas 2024,
   JRSSB 86:1, section 4; Ville 1939). Binomial likelihood ratios grow a little faster and hold for independent requests
   only: a second in which a collection delays three requests of a hundred would count as three pieces of evidence. The
   factor of one second is capped, so that one bad second can not decide, nor two where the whole run could bear them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from mlgate.evidence import Cause, Finding, Outcome
from mlgate.load.judgement.bounds import Bounds
from mlgate.load.judgement.causes import server_or_model
from mlgate.load.judgement.health import LAG_SHARE
from mlgate.load.judgement.limits import kinds_in_words
from mlgate.load.samples import ErrorKind, Samples
from mlgate.load.schedule import Schedule
from mlgate.load.tally import BLOCK_S, Mask, rank_of
from mlgate.quantities import format_duration, format_number, format_share

# Largest chance by Ville's inequality of stopping a run that is at all its limits. The product overshoots 1/alpha when it passes
# it, and a run ends. Simulated, 2 000 runs of 60 s at 100/s at p95, p99 and error rate alike: 0.7 % are stopped by it and 0.35 % by
# curtailment where requests are independent, 0.1 % where those of a second share their fate; none at half the limits.
ALPHA = 0.015

# A run is given up as certain to fail only at this confidence: one that is at its limit fails its judgement at 95 % in one case of
# twenty, and is given the time to do so.
CERTAIN = 0.998

# An error rate's limit is the smallest share and the slowest to disprove; latencies have evidence to spare.
ERROR_PARTS, LATENCY_PARTS = 8.0, 1.0

# Parts of the largest bet, 1/p, with the wealth that each starts with: the first finds four times the limit share soonest
# (simulated at 100/s), the last survives a healthy first half and finds what breaks after it.
BETS = (0.9, 0.5, 0.1)
WEALTH = (0.5, 0.4, 0.1)

# The cap to the power of the seconds that it is for is 1/alpha but for rounding.
ROUNDING = 1e-9

# Wholly bad seconds that are needed at least, and at most: a run of 60 s at p95 bears six of them by the bound, and a
# server that has hung for five has hung.
FEWEST_BAD, MOST_BAD = 2, 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A limit on the share of requests that violate.

    Attributes:
        check: Id of the check that judges it, such as `load.p99_latency`.
        share: That may violate, between 0 and 1.
        limit_ms: Of the response time; `None`: errors violate.
    """

    check: str
    share: float
    limit_ms: float | None = None

    @classmethod
    def percentile(cls, check: str, *, q: float, limit_ms: float) -> "Limit":
        """Return the limit that at most 1 - *q* of the requests take longer than *limit_ms*."""
        return cls(check=check, share=1 - q, limit_ms=limit_ms)

    @classmethod
    def errors(cls, check: str, *, share: float) -> "Limit":
        """Return the limit that at most *share* of the requests get no good answer."""
        return cls(check=check, share=share)

    @property
    def words(self) -> str:
        """The limit as a finding says it: `p99 ≤ 250 ms`, `errors ≤ 1 %`."""
        if self.limit_ms is None:
            return f"errors ≤ {format_share(self.share)}"
        return f"p{format_number(100 * (1 - self.share))} ≤ {format_number(self.limit_ms)} ms"

    def violating(self, rows: Samples, now_s: float) -> Mask:
        """Say which *rows* violate for certain at *now_s* seconds, shape (n,)."""
        done = rows.error != ErrorKind.DROPPED
        if self.limit_ms is None:
            failed: Mask = done & rows.failed
            return failed
        late = np.where(done, rows.response_ms, (now_s - rows.intended_s) * 1000) > self.limit_ms
        violating: Mask = (done & rows.failed) | ((done | rows.waiting) & late)
        return violating


class EarlyStop:
    """Watches a run: called with its live samples, says why it should be stopped once a limit is certain to be missed.

    It is sure of nothing where requests leave late: then the run goes on, and is judged unhealthy at its end.
    """

    def __init__(self, limits: Sequence[Limit], schedule: Schedule, *, confidence: float) -> None:
        """Watch *limits* over the run of *schedule*, to be judged at *confidence*."""
        self._duration_s = schedule.duration_s
        self._sends_s = schedule.sends_s
        self._blocks = np.floor(schedule.sends_s / BLOCK_S).astype(np.int64)
        self._sizes = np.bincount(self._blocks)
        parts = [LATENCY_PARTS if limit.limit_ms is not None else ERROR_PARTS for limit in limits]
        self._bets = [
            _Bet(limit, self._sizes, alpha=ALPHA * part / sum(parts), confidence=confidence)
            for limit, part in zip(limits, parts, strict=True)
        ]
        self._tightest_ms = min((limit.limit_ms for limit in limits if limit.limit_ms is not None), default=math.inf)
        self._settled = 0
        self._finding: Finding | None = None
        self.check: str | None = None

    def __call__(self, samples: Samples, seconds: float) -> str | None:
        """Return why to stop, or `None`.

        Args:
            samples: Of the whole schedule; rows fill in as requests leave and are answered.
            seconds: Since second 0 of the samples.
        """
        if self._finding is not None:
            return self._finding.reason
        due = int(np.searchsorted(self._sends_s, seconds, side="right"))
        rows = _rows(samples, self._settled, due)
        blocks = self._blocks[self._settled : due]
        begun = int(self._blocks[due - 1]) + 1 if due else 0
        for bet in self._bets:
            bet.see(blocks, rows, seconds, begun)
        self._settle(rows, blocks)
        lost = next((bet for bet in self._bets if bet.rule), None)
        if lost is None or self._leaves_late(samples, due):
            return None
        self.check, self._finding = lost.limit.check, self._found(lost, _rows(samples, 0, due), seconds)
        return self._finding.reason

    def finding(self) -> Finding | None:
        """Return the failed finding of `check`; `None` where nothing stopped the run."""
        return self._finding

    def others(self) -> Finding | None:
        """Return the finding of every other check of a run that was stopped: inconclusive; `None` where nothing stopped it."""
        if self._finding is None:
            return None
        after = format_duration(self._finding.details["stopped_after_s"])
        return Finding(
            outcome=Outcome.INCONCLUSIVE,
            reason=f"stopped after {after}, since {self.check} had failed",
            cause=self._finding.cause,
            advice=f"put {self.check} right; passing takes the whole run",
        )

    def _settle(self, rows: Samples, blocks: NDArray[np.int64]) -> None:
        """Count for good the rows up to the first that is not done, so that no call looks at them again."""
        open_rows = np.flatnonzero(rows.error == ErrorKind.DROPPED)
        count = int(open_rows[0]) if len(open_rows) else len(rows)
        if count:
            settled = _rows(rows, 0, count)
            for bet in self._bets:
                bet.settle(blocks[:count], settled)
            self._settled += count

    def _leaves_late(self, samples: Samples, due: int) -> bool:
        rows = _rows(samples, 0, due)
        lag = rows.send_lag_ms[rows.sent]
        return not len(lag) or float(np.quantile(lag, 0.99, method="inverted_cdf")) > LAG_SHARE * self._tightest_ms

    def _found(self, bet: "_Bet", rows: Samples, seconds: float) -> Finding:
        limit, waiting = bet.limit, rows.waiting
        violating = limit.violating(rows, seconds)
        kinds = rows.take(~waiting & rows.sent).error_counts
        n, count, planned = len(rows), int(violating.sum()), int(self._sizes.sum())
        lost = sum(kinds.get(kind.label, 0) for kind in (ErrorKind.TIMEOUT, ErrorKind.CONNECTION)) + int(
            (waiting & violating).sum()
        )
        allowed = "no number" if bet.allowed is None else format_number(bet.allowed)
        told = f"{limit.words}: {allowed} of {format_number(planned)} may exceed; {format_number(count)} of the first {format_number(n)} did"
        words = f" ({kinds_in_words(kinds)})" if kinds else ""
        return Finding(
            outcome=Outcome.FAILED,
            reason=f"failed after {format_duration(seconds)} of {format_duration(self._duration_s)}: {told}{words}",
            cause=server_or_model(lost=lost, failed=sum(kinds.values()) + int((waiting & violating).sum()))
            if lost
            else Cause.MODEL,
            measured=count / n if limit.limit_ms is None else _quantile(rows, seconds, limit.share),
            limit=limit.share if limit.limit_ms is None else limit.limit_ms,
            unit="share" if limit.limit_ms is None else "ms",
            n=n,
            confidence=1 - bet.alpha,
            details={
                "stopped_after_s": round(seconds, 2),
                "planned_s": self._duration_s,
                "planned_n": planned,
                "rule": bet.rule,
                "violations": count,
                "allowed": bet.allowed,
                "unanswered": int(waiting.sum()),
                "errors": dict(kinds),
            },
        )


class _Bet:
    """What is known of one limit, per second of the run."""

    def __init__(self, limit: Limit, sizes: NDArray[np.int64], *, alpha: float, confidence: float) -> None:
        self.limit, self.alpha, self.rule = limit, alpha, ""
        self._sizes, self._settled = sizes, np.zeros(len(sizes), np.int64)
        self._confidence = confidence
        self.allowed = Bounds.of_blocks(sizes, self._settled, limit_share=limit.share, confidence=confidence).allowed
        needed = range(FEWEST_BAD, MOST_BAD)
        bad = next((k for k in needed if self._failed(_first_bad(sizes, k), confidence)), MOST_BAD)
        self.cap = (1 / (alpha * WEALTH[0])) ** (1 / bad)

    def see(self, blocks: NDArray[np.int64], rows: Samples, now_s: float, begun: int) -> None:
        """Look at the rows that are not settled yet; *begun* is the number of seconds whose requests are due."""
        violating = self.limit.violating(rows, now_s)
        counts = self._settled + np.bincount(blocks[violating], minlength=len(self._sizes))
        if self._wealth(counts[:begun]) >= 1 / self.alpha:
            self.rule = "e-process"
        elif self._failed(counts, max(self._confidence, CERTAIN)):
            self.rule = "curtailment"

    def settle(self, blocks: NDArray[np.int64], rows: Samples) -> None:
        """Count *rows*, which are done, for good."""
        violating = self.limit.violating(rows, math.inf)
        self._settled += np.bincount(blocks[violating], minlength=len(self._sizes))

    def _wealth(self, counts: NDArray[np.int64]) -> float:
        """Return the most that the bets were ever worth: what is not known yet counts as good, so that it was worth that at least."""
        begun = self._sizes[: len(counts)]
        shares = counts[begun > 0] / begun[begun > 0]
        if not len(shares):
            return 1.0
        factors = _factors(shares, self.limit.share, self.cap)
        return float((np.array(WEALTH) @ np.cumprod(factors, axis=1)).max()) * (1 + ROUNDING)

    def _failed(self, counts: NDArray[np.int64], confidence: float) -> bool:
        """Say whether the whole run is failed with *counts*, all else being good."""
        if counts.sum() <= self.limit.share * self._sizes.sum():
            return False
        bounds = Bounds.of_blocks(self._sizes, counts, limit_share=self.limit.share, confidence=confidence)
        return bounds.outcome is Outcome.FAILED


def _factors(shares: NDArray[np.float64], limit_share: float, cap: float) -> NDArray[np.float64]:
    """Return what each bet pays for seconds in which *shares*, shape (m,), violate: shape (bets, m), none above *cap*."""
    bets = np.array(BETS)[:, np.newaxis] / limit_share
    return np.minimum(1 + bets * (shares - limit_share), cap)


def _first_bad(sizes: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Return violations per second where the first *count* seconds with requests are wholly bad."""
    return np.where(np.cumsum(sizes > 0) <= count, sizes, 0)


def _rows(samples: Samples, start: int, stop: int) -> Samples:
    """Return a copy of some rows: the generator writes on while they are looked at."""
    return Samples(**{column.name: np.array(getattr(samples, column.name)[start:stop]) for column in fields(samples)})


def _quantile(rows: Samples, now_s: float, share: float) -> float:
    """Return the quantile so far in ms: infinite without a good answer, at least its age where none is in yet."""
    age = (now_s - rows.intended_s) * 1000
    times = np.where(rows.waiting, age, np.where(rows.failed, np.inf, rows.response_ms))
    return float(np.sort(times)[rank_of(1 - share, len(times)) - 1])
