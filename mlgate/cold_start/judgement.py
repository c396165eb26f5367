"""What is judged of repeated starts. Pure."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mlgate.cold_start.timeline import Timeline
from mlgate.evidence import Cause, Finding, Outcome
from mlgate.policy import MIN_REPEATS
from mlgate.quantities import format_duration, format_number, format_share, format_size
from mlgate.sandbox.interface import MemoryUse
from mlgate.statistics.quantiles import attained_confidence

# Below this size a model's load is decided by other things than its bytes.
BIG_MODEL = 100_000_000
# A container can not drop the host's page cache; what an earlier server read is in it.
PAGE_CACHE = "warm: an earlier server had read the environment and the model"


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """One start of a fresh server.

    Attributes:
        ready_s: Seconds from the engine's start of the container to readiness.
        first_prediction_s: Seconds from there to the first correct prediction.
        timeline: Where they go.
        memory: What the server held after that prediction; `None` where no counter could be read.
        model_bytes: Size of the model directory; `None` where the server does not say.
        read: Phase to bytes `asked` for and read from the `disk`.
    """

    ready_s: float
    first_prediction_s: float
    timeline: Timeline
    memory: MemoryUse | None = None
    model_bytes: int | None = None
    read: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ColdStarts:
    """Repeated starts of one version.

    Attributes:
        starts: Those that ended in a correct prediction, in order.
        problem: Why one did not; empty where all did.
        kind: What became of that server, see `mlgate.errors.FailureKind`; empty where it never was one.
        log: Its last lines.
        image: Whether the environment image was there, and what making it took, in words; empty where nobody knows.
        from_disk: One more start of a big model, whose files had been dropped from the page cache. Information only: the
            environment's files were still in it, and no limit is judged on one start. `None` where there was none.
    """

    starts: tuple[Start, ...] = ()
    problem: str = ""
    kind: str = ""
    log: str = ""
    image: str = ""
    from_disk: Start | None = None

    @property
    def middle(self) -> Start | None:
        """The start that took the median time to its first prediction (of an even number, the slower of the two)."""
        ordered = sorted(self.starts, key=lambda start: start.first_prediction_s)
        return ordered[len(ordered) // 2] if ordered else None

    def times_s(self, what: str) -> tuple[float, ...]:
        """Return each start's `ready_s` or `first_prediction_s`."""
        return tuple(getattr(start, what) for start in self.starts)


def judge_times(
    starts: ColdStarts, *, of: str, limit_s: float, what: str, champion: ColdStarts | None = None
) -> Finding:
    """Judge the median: the slowest within the limit passes, the fastest beyond it fails, else inconclusive.

    Args:
        starts: The challenger's.
        of: `ready_s` or `first_prediction_s`.
        limit_s: Limit in seconds.
        what: What the times lead to, in words.
        champion: For the report's bars.
    """
    times_s = starts.times_s(of)
    unusable = _unusable(starts, {"times_s": list(times_s)})
    if unusable is not None:
        return unusable
    ordered = sorted(times_s)
    slowest, fastest, middle = ordered[-1], ordered[0], statistics.median(ordered)
    confidence = attained_confidence(len(ordered), len(ordered), 0.5)
    told = (
        f"{what}: median {format_duration(middle)}, slowest of {len(ordered)} {format_duration(slowest)}; "
        f"limit {format_duration(limit_s)} (claim on the median at {format_share(confidence)})"
    )
    outcome = _outcome(ordered, limit_s)
    advice = ""
    if outcome is Outcome.FAILED:
        where = starts.middle.timeline.slowest() if starts.middle else ""
        advice = f"the slowest part is {where}" if where else "see the server's log for where the time goes"
    elif outcome is Outcome.INCONCLUSIVE:
        advice = "more repeats would decide: cold_start.repeats"
    return Finding(
        outcome=outcome,
        reason=told,
        cause=None if outcome is Outcome.PASSED else Cause.MODEL,
        measured=middle,
        limit=limit_s,
        unit="s",
        n=len(ordered),
        interval=(fastest, slowest),
        confidence=confidence,
        advice=advice,
        details={"times_s": list(times_s), **details_of(starts, champion)},
    )


def judge_peak_memory(starts: ColdStarts, *, limit: int) -> Finding:
    """Judge the largest peak of all starts; a start without a counter is no pass.

    Args:
        starts: The challenger's.
        limit: Bytes.
    """
    unusable = _unusable(starts, {})
    if unusable is not None:
        return unusable
    used = [start.memory for start in starts.starts if start.memory is not None]
    unread = len(starts.starts) - len(used)
    if unread:
        return Finding(
            outcome=Outcome.INCONCLUSIVE,
            reason=f"the memory counter could not be read after {unread} of {len(starts.starts)} starts",
            cause=Cause.ENVIRONMENT,
            n=len(used),
            advice="the engine needs a memory controller that keeps a peak: cgroup v1, or v2 since Linux 5.19",
        )
    largest = max(used, key=lambda use: use.peak)
    within = largest.peak <= limit
    now = ", ".join(f"{kind} {format_size(size)}" for kind, size in largest.now.items())
    return Finding(
        outcome=Outcome.PASSED if within else Outcome.FAILED,
        reason=f"peak memory of a start with one prediction: largest of {len(used)} {format_size(largest.peak)}; limit {format_size(limit)}",
        cause=None if within else Cause.MODEL,
        measured=float(largest.peak),
        limit=float(limit),
        unit="bytes",
        n=len(used),
        interval=(float(min(use.peak for use in used)), float(largest.peak)),
        advice="" if within else f"after the start it holds {now or 'less'}: load less, or in smaller parts",
        details={
            "peaks_bytes": [use.peak for use in used],
            "held_after_bytes": dict(largest.now),
            "counted": largest.counted,
        },
    )


def judge_regression(challenger: ColdStarts, champion: ColdStarts | None, *, max_ratio: float) -> Finding:
    """Judge the median ratio of paired starts: the largest within the limit passes, the smallest beyond it fails.

    Args:
        challenger: Its starts.
        champion: The champion's, each started next to the challenger's of the same place; `None`: nobody started it.
        max_ratio: Limit on challenger over champion, start to first correct prediction.
    """
    unusable = _unusable(challenger, {})
    if unusable is not None:
        return unusable
    problem = "it was not started" if champion is None else champion.problem
    if champion is None or problem:
        return Finding(
            outcome=Outcome.INCONCLUSIVE,
            reason=f"the champion can not be compared with: {problem}",
            cause=Cause.ENVIRONMENT,
            n=0 if champion is None else len(champion.starts),
            advice="bring the champion back to life, or compare with another: --mlgate-champion",
            details=_end(champion) if champion is not None else {},
        )
    pairs = list(zip(challenger.times_s("first_prediction_s"), champion.times_s("first_prediction_s"), strict=False))
    if len(pairs) < MIN_REPEATS or any(theirs <= 0 for _, theirs in pairs):
        return Finding(
            outcome=Outcome.INCONCLUSIVE,
            reason=f"{len(pairs)} pairs of starts can not decide",
            cause=Cause.HARNESS,
            n=len(pairs),
        )
    ratios = [ours / theirs for ours, theirs in pairs]
    ordered, middle = sorted(ratios), statistics.median(ratios)
    confidence = attained_confidence(len(ordered), len(ordered), 0.5)
    outcome = _outcome(ordered, max_ratio)
    ours_s, theirs_s = (statistics.median(side) for side in zip(*pairs, strict=True))
    told = (
        f"first correct prediction after {format_duration(ours_s)}, the champion's after {format_duration(theirs_s)}: "
        f"{format_number(middle, 3)} times, largest of {len(pairs)} pairs {format_number(ordered[-1], 3)}; "
        f"limit {format_number(max_ratio, 3)} (claim on the median at {format_share(confidence)})"
    )
    advice = {
        Outcome.FAILED: _slower(challenger, champion),
        Outcome.INCONCLUSIVE: "more repeats on a quieter machine would decide: cold_start.repeats",
    }.get(outcome, "")
    return Finding(
        outcome=outcome,
        reason=told,
        cause=None if outcome is Outcome.PASSED else Cause.MODEL,
        measured=middle,
        limit=max_ratio,
        n=len(pairs),
        interval=(ordered[0], ordered[-1]),
        confidence=confidence,
        advice=advice,
        details={
            "ratios": [round(ratio, 4) for ratio in ratios],
            "challenger_times_s": [ours for ours, _ in pairs],
            "champion_times_s": [theirs for _, theirs in pairs],
        },
    )


def details_of(starts: ColdStarts, champion: ColdStarts | None = None) -> dict[str, Any]:
    """Return where the time of the middle start goes, what was read, and which caches were warm."""
    middle, theirs = starts.middle, champion.middle if champion is not None else None
    if middle is None:
        return {}
    found: dict[str, Any] = {"page_cache": PAGE_CACHE, "timeline": middle.timeline.to_json()}
    if starts.image:
        found["environment_image"] = starts.image
    if theirs is not None:
        found["champion_timeline"] = theirs.timeline.to_json()
    if starts.from_disk is not None:
        first_s = round(starts.from_disk.first_prediction_s, 4)
        found["from_disk"] = {"first_prediction_s": first_s, **bytes_read(starts.from_disk)}
    read = bytes_read(middle)
    return found | ({"bytes": read} if read else {})


def bytes_read(start: Start) -> dict[str, Any]:
    """Return the model's bytes over its load phase, for a model of a size where they decide."""
    phases = start.timeline.phases
    size = start.model_bytes or 0
    load_s = phases.get("load", 0.0) - phases.get("imports", 0.0)
    if size < BIG_MODEL or load_s <= 0:
        return {}
    counters = start.read.get("load", {})
    found = {"model_bytes": size, "load_s": round(load_s, 4), "mb_per_s": round(size / load_s / 1e6, 1)}
    return found | {f"{name}_bytes": counters[name] for name in ("asked", "disk") if name in counters}


def _slower(challenger: ColdStarts, champion: ColdStarts) -> str:
    """Name the phase that grew most against the champion."""
    ours, theirs = challenger.middle, champion.middle
    if ours is None or theirs is None:
        return ""
    before = {part.name: part.seconds for part in theirs.timeline.parts()}
    grown = {part.name: part.seconds - before.get(part.name, 0.0) for part in ours.timeline.parts()}
    name = max(grown, key=lambda phase: grown[phase], default="")
    if not name or grown[name] <= 0:
        return "see the server's log for where the time goes"
    return f"{name} takes {format_duration(grown[name])} longer than the champion's; {ours.timeline.slowest()}"


def _unusable(starts: ColdStarts, details: dict[str, Any]) -> Finding | None:
    done = len(starts.starts)
    if starts.problem:
        return Finding(
            outcome=Outcome.FAILED,
            reason=f"start {done + 1} of a fresh server: {starts.problem}",
            cause=Cause.MODEL,
            n=done,
            details={**details, **_end(starts)},
        )
    if not done:
        reason = "no start was measured"
        return Finding(outcome=Outcome.INCONCLUSIVE, reason=reason, cause=Cause.HARNESS, n=0)
    return None


def _end(starts: ColdStarts) -> dict[str, str]:
    return {name: text for name, text in (("kind", starts.kind), ("log", starts.log)) if text}


def _outcome(ordered: Sequence[float], limit: float) -> Outcome:
    if ordered[-1] <= limit:
        return Outcome.PASSED
    return Outcome.FAILED if ordered[0] > limit else Outcome.INCONCLUSIVE
