"""The two sides of a comparison: what of them can not be compared, and who has to act. Pure."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from mlgate.evaluation.metric_names import MetricFacts, Need
from mlgate.evaluation.sample import UNKNOWN_CLASS, Sample
from mlgate.evidence import Cause, Finding, Outcome

_ANSWERS = ("labels", "score", "scores", "numbers")


class Absence(StrEnum):
    """Why there is no champion to compare with."""

    FIRST = "first"  # nobody serves yet: no regression is asked for
    BROKEN = "broken"  # it can not be loaded, started or scored
    SIGNATURE = "signature"  # it wants other inputs than the data have, or answers something else


@dataclass(frozen=True, slots=True, kw_only=True)
class NoChampion:
    """In the place of the champion's answers.

    Attributes:
        absence: Which of the three.
        reason: One clause; empty for the first model.
    """

    absence: Absence
    reason: str = ""


def absent(champion: NoChampion, *, limit: float) -> Finding:
    """Say that there is nothing to compare with: inconclusive, never passed."""
    match champion.absence:
        case Absence.FIRST:
            reason, advice = "there is no champion", "judge the first model by its floors: accuracy.metrics.….min"
        case Absence.BROKEN:
            reason = f"the champion could not be scored: {champion.reason or 'unknown'}"
            advice = "repair or move the champion alias; --mlgate-champion names another one"
        case Absence.SIGNATURE:
            reason = f"the champion has another signature: {champion.reason or 'unknown'}"
            advice = "add the columns that it reads to the evaluation data, or name another champion: --mlgate-champion"
    return _unjudged(Outcome.INCONCLUSIVE, Cause.ENVIRONMENT, reason, advice, limit=limit)


def challenger_problem(challenger: Sample, facts: MetricFacts, *, limit: float | None) -> Finding | None:
    """Say why one metric of the challenger can not be judged; `None` where nothing stands against it."""
    missing = _missing(challenger, facts)
    if missing:
        return _unjudged(
            Outcome.ERRORED,
            Cause.HARNESS,
            f"{facts.name}: the challenger's answers hold no {missing}",
            "accuracy.prediction, score, classes and positive in the policy say which output is which",
            limit=limit,
        )
    if not _finite(challenger):
        return _unjudged(
            Outcome.ERRORED,
            Cause.HARNESS,
            f"{facts.name}: an answer of the challenger is not a finite number",
            "a row without a valid answer is a failure of the model, and must not come to be judged",
            limit=limit,
        )
    return None


def champion_problem(challenger: Sample, champion: Sample, facts: MetricFacts, *, limit: float) -> Finding | None:
    """Say why the two can not be compared by one metric; `None` where nothing stands against it.

    A label that nobody knows counts as wrong. Of the champion that would be a gift to the challenger, so there it is
    no answer at all.
    """
    if len(challenger) != len(champion) or not np.array_equal(challenger.truth, champion.truth):
        reason = f"the models were not scored on the same rows: {len(challenger)} and {len(champion)}"
        return _unjudged(Outcome.ERRORED, Cause.HARNESS, reason, "score both again", limit=limit)
    if challenger.classes != champion.classes:
        reason = f"the champion answers {_listed(champion.classes)}, the challenger {_listed(challenger.classes)}"
        return _another_set(reason, limit=limit)
    unknown = 0 if champion.labels is None else int((champion.labels == UNKNOWN_CLASS).sum())
    if unknown and Need.LABELS in facts.needs:
        reason = f"{unknown} of the champion's {len(champion)} answers are none of {_listed(champion.classes)}"
        return _another_set(reason, limit=limit)
    missing = _missing(champion, facts)
    if missing or not _finite(champion):
        what = f"its answers hold no {missing}" if missing else "an answer is not a finite number"
        broken = NoChampion(absence=Absence.SIGNATURE if missing else Absence.BROKEN, reason=f"{facts.name}: {what}")
        return absent(broken, limit=limit)
    return None


def answers_alike(challenger: Sample, champion: Sample) -> int:
    """Count the rows on which every part of the two models' answers is the same."""
    same = np.ones(len(challenger), dtype=np.bool_)
    for name in _ANSWERS:
        ours, theirs = getattr(challenger, name), getattr(champion, name)
        if ours is not None and theirs is not None:
            equal = ours == theirs
            same &= equal if equal.ndim == 1 else equal.all(axis=1)
    return int(same.sum())


def discordant(challenger: Sample, champion: Sample) -> tuple[int, int] | None:
    """Count the rows where only the challenger is right, and where only the champion is; `None` without labels."""
    if challenger.labels is None or champion.labels is None:
        return None
    ours, theirs = challenger.labels == challenger.truth, champion.labels == champion.truth
    return int((ours & ~theirs).sum()), int((theirs & ~ours).sum())


def _missing(sample: Sample, facts: MetricFacts) -> str:
    held = {
        Need.LABELS: sample.labels is not None,
        Need.SCORE: sample.score is not None,
        # Of two classes, the score of the positive one says both.
        Need.SCORES: sample.scores is not None or sample.score is not None,
        Need.NUMBERS: sample.numbers is not None,
        Need.POSITIVE: sample.positive is not None,
        Need.GROUP: sample.group is not None,
    }
    words = {Need.POSITIVE: "positive class"}
    return " and no ".join(words.get(need, str(need)) for need in sorted(facts.needs) if not held[need])


def _finite(sample: Sample) -> bool:
    arrays = (sample.score, sample.scores, sample.numbers)
    return all(array is None or bool(np.isfinite(array).all()) for array in arrays)


def _another_set(reason: str, *, limit: float) -> Finding:
    return _unjudged(
        Outcome.INCONCLUSIVE,
        Cause.ENVIRONMENT,
        f"another set of labels: {reason}",
        "list every class that either model may answer in accuracy.classes, or name another champion",
        limit=limit,
    )


def _unjudged(outcome: Outcome, cause: Cause, reason: str, advice: str, *, limit: float | None) -> Finding:
    return Finding(outcome=outcome, cause=cause, reason=reason, limit=limit, advice=advice)


def _listed(classes: tuple[str, ...]) -> str:
    shown = ", ".join(classes[:10])
    return f"[{shown}, …]" if len(classes) > 10 else f"[{shown}]"
