"""What the evidence holds of two models' answers, beside the judgements: tables for the report. Pure.

`comparison_details` is the one place that says what is in it. It goes into the details of one accuracy finding, as
`tables`; the report reads it from whichever finding of the suite holds it. All of it is for the eye; nothing is judged
by it. Any part may be absent, where the answers do not give it:

    confusion: classes (text, at most `MAX_CLASSES`), folded (further classes, counted together in the last row and
        column of classes; 0 for none), unknown (whether a last column counts answers that are no class),
        challenger and champion (counts: a row for each true class, a column for each answer)
    reliability: of (the positive class, or empty: the class that each model deems likeliest), confidence,
        challenger and champion (bins of about equal size, lowest score first: n, score (mean), share (of rows that are
        of that class), lower and upper (Wilson, two-sided, rows taken as independent)); or reason, where there is none
    only_challenger: kind (`wrong`: only the challenger's label is wrong; `further`: its number is further from the
        truth than the champion's), count, other_way (the same with the roles exchanged), n,
        rows (at most `MAX_ROWS`, the worst first: key, truth, challenger, champion, and features where they were given)
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlgate.evaluation.sample import UNKNOWN_CLASS, Codes, Sample
from mlgate.statistics.proportions import wilson

MAX_CLASSES = 20
MAX_ROWS = 50
BINS = 10
CONFIDENCE = 0.95
# A key or a label is cut after so many characters: evidence is no place for documents.
MAX_TEXT = 200
# Rows at a time, so that memory beyond the scores stays small.
_CHUNK = 1_000_000


def comparison_details(
    challenger: Sample,
    champion: Sample | None,
    keys: Sequence[Any],
    *,
    features: Sequence[Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    """Return the tables of the evidence, as JSON values; see the module.

    Args:
        challenger: Truth and answers, n rows.
        champion: The same rows, in the same order; `None` where there is none.
        keys: Key of each row, shape (n,).
        features: With `evidence.rows: full` only: column and value of the rows that `rows_to_show` names, in its order.

    Raises:
        ValueError: The lengths differ.
    """
    if len(keys) != len(challenger) or (champion is not None and len(champion) != len(challenger)):
        raise ValueError(f"{len(challenger)} rows, but {len(keys)} keys or another number of the champion's answers")
    # With another label set, the same code is another class.
    if champion is not None and champion.classes != challenger.classes:
        champion = None
    found = {
        "confusion": _confusion(challenger, champion),
        "reliability": _reliability(challenger, champion),
        "only_challenger": _only_challenger(challenger, champion, keys, features),
    }
    return {name: part for name, part in found.items() if part is not None}


def rows_to_show(challenger: Sample, champion: Sample | None) -> NDArray[np.intp]:
    """Return the rows where only the challenger is wrong (a number: further off), worst first, at most `MAX_ROWS`.

    The worst is the one where the challenger gives the truth the least score, or where its number is further off than
    the champion's by most; between equals, the earlier row.
    """
    found = None if champion is None else _excess(challenger, champion)
    if champion is None or found is None:
        return np.empty(0, dtype=np.intp)
    rows = np.flatnonzero(found > 0)
    score = _score_of_truth(challenger, rows)
    badness = found[rows] if score is None else -score
    return rows[np.argsort(-badness, kind="stable")][:MAX_ROWS]


def _confusion(challenger: Sample, champion: Sample | None) -> dict[str, Any] | None:
    if challenger.labels is None or not challenger.classes:
        return None
    kept, folded = _kept_classes(challenger)
    # One more place at the end, for UNKNOWN_CLASS.
    place = np.full(len(challenger.classes) + 1, len(kept), dtype=np.int64)
    place[kept] = np.arange(len(kept))
    size = len(kept) + (folded > 0)
    place[-1] = size
    tables = {
        side: _counts(sample.truth, sample.labels, place, size)
        for side, sample in (("challenger", challenger), ("champion", champion))
        if sample is not None and sample.labels is not None
    }
    unknown = any(bool(table[:, -1].any()) for table in tables.values())
    return {
        "classes": [_text(challenger.classes[code]) for code in kept],
        "folded": folded,
        "unknown": unknown,
        **{side: (table if unknown else table[:, :-1]).tolist() for side, table in tables.items()},
    }


def _kept_classes(sample: Sample) -> tuple[NDArray[np.intp], int]:
    """Return the codes that get a row of their own, and how many share the last one."""
    total = len(sample.classes)
    if total <= MAX_CLASSES:
        return np.arange(total), 0
    counts = np.zeros(total, dtype=np.int64)
    for rows in _chunks(len(sample)):
        counts += np.bincount(sample.truth[rows], minlength=total)
    kept = np.sort(np.argsort(-counts, kind="stable")[: MAX_CLASSES - 1])
    return kept, total - len(kept)


def _counts(truth: Any, labels: Codes, place: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    table = np.zeros(size * (size + 1), dtype=np.int64)
    for rows in _chunks(len(truth)):
        cells = place[truth[rows]] * (size + 1) + place[np.where(labels[rows] == UNKNOWN_CLASS, -1, labels[rows])]
        table += np.bincount(cells, minlength=table.size)
    return table.reshape(size, size + 1)


def _reliability(challenger: Sample, champion: Sample | None) -> dict[str, Any] | None:
    sides = {"challenger": challenger, "champion": champion}
    curves: dict[str, Any] = {}
    for side, sample in sides.items():
        pair = None if sample is None or not len(sample) else _probability(sample)
        if pair is None:
            continue
        score, happened = pair
        if not (score.min() >= 0 and score.max() <= 1):
            return {"reason": f"the {side}'s scores leave 0 to 1: they are no probabilities"}
        curves[side] = _bins(score, happened)
    if "challenger" not in curves:
        return None
    positive = challenger.positive
    of = "" if positive is None else _text(challenger.classes[positive])
    return {"of": of, "confidence": CONFIDENCE, **curves}


def _probability(sample: Sample) -> tuple[NDArray[np.floating[Any]], NDArray[np.bool_]] | None:
    """Return the score of one class in each row, and whether the row is of that class."""
    if not sample.classes:
        return None
    if sample.positive is not None:
        score = (
            sample.scores[:, sample.positive] if sample.score is None and sample.scores is not None else sample.score
        )
        return None if score is None else (score, sample.truth == sample.positive)
    if sample.scores is None:
        return None
    return sample.scores.max(axis=1), sample.scores.argmax(axis=1) == sample.truth


def _bins(score: NDArray[np.floating[Any]], happened: NDArray[np.bool_]) -> list[dict[str, float]]:
    # Equal scores stay together, or the curve would depend on the order of the rows.
    edges = np.unique(np.quantile(score, np.arange(1, BINS) / BINS, method="inverted_cdf"))
    sums = np.zeros((3, len(edges) + 1))
    for rows in _chunks(len(score)):
        code = np.searchsorted(edges, score[rows])
        for index, weights in enumerate((None, score[rows], happened[rows])):
            sums[index] += np.bincount(code, weights=weights, minlength=len(edges) + 1)
    found = []
    for count, scores, positives in sums.T[sums[0] > 0].tolist():
        lower, upper = wilson(positives, count, CONFIDENCE)
        share = positives / count
        bounds = {"lower": min(lower, share), "upper": max(upper, share)}  # of 0 and n, up to rounding
        found.append({"n": int(count), "score": min(1.0, scores / count), "share": share, **bounds})
    return found


def _only_challenger(
    challenger: Sample, champion: Sample | None, keys: Sequence[Any], features: Sequence[Mapping[str, Any]] | None
) -> dict[str, Any] | None:
    found = None if champion is None else _excess(challenger, champion)
    if champion is None or found is None:
        return None
    rows = rows_to_show(challenger, champion)
    shown = [{"key": _text(keys[row]), **_answers(challenger, champion, row)} for row in rows.tolist()]
    if features is not None:
        if len(features) != len(shown):
            raise ValueError(f"features of {len(features)} rows, but {len(shown)} rows are shown")
        shown = [
            {**row, "features": {_text(k): _value(v) for k, v in of.items()}}
            for row, of in zip(shown, features, strict=True)
        ]
    return {
        "kind": "wrong" if challenger.classes else "further",
        "count": int(np.count_nonzero(found > 0)),
        "other_way": int(np.count_nonzero(found < 0)),
        "n": len(challenger),
        "rows": shown,
    }


def _excess(challenger: Sample, champion: Sample) -> NDArray[Any] | None:
    """Return by how much each row's answer is worse than the champion's: of a label -1, 0 or 1; `None` for a ranking."""
    if challenger.classes:
        if challenger.labels is None or champion.labels is None:
            return None
        wrong, was_wrong = challenger.labels != challenger.truth, champion.labels != champion.truth
        worse: NDArray[np.int8] = wrong.astype(np.int8) - was_wrong.astype(np.int8)
        return worse
    if challenger.numbers is None or champion.numbers is None:
        return None
    off: NDArray[Any] = np.abs(challenger.numbers - challenger.truth) - np.abs(champion.numbers - champion.truth)
    return off


def _score_of_truth(sample: Sample, rows: NDArray[np.intp]) -> NDArray[Any] | None:
    if not sample.classes:
        return None
    truth = sample.truth[rows]
    if sample.scores is not None:
        found: NDArray[Any] = sample.scores[rows, truth]
        return found
    if sample.score is None or sample.positive is None:
        return None
    score = sample.score[rows]
    # A probability of the positive class is one less that of the other; a score of any other kind turns about zero.
    whole = 1.0 if bool(((score >= 0) & (score <= 1)).all()) else 0.0
    return np.where(truth == sample.positive, score, whole - score)


def _answers(challenger: Sample, champion: Sample, row: int) -> dict[str, Any]:
    if not challenger.classes:
        values = (challenger.truth, challenger.numbers, champion.numbers)
        return {
            name: _value(None if array is None else array[row].item())
            for name, array in zip(("truth", "challenger", "champion"), values, strict=True)
        }
    codes = (challenger.truth, challenger.labels, champion.labels)
    return {
        name: "" if codes_ is None or codes_[row] == UNKNOWN_CLASS else _text(challenger.classes[codes_[row]])
        for name, codes_ in zip(("truth", "challenger", "champion"), codes, strict=True)
    }


def _text(value: object) -> str:
    text = str(value)
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"


def _value(value: Any) -> Any:
    if hasattr(value, "item"):
        value = value.item()
    return value if value is None or isinstance(value, bool | int | float) else _text(value)


def _chunks(n: int) -> Iterator[slice]:
    return (slice(start, start + _CHUNK) for start in range(0, n, _CHUNK))
