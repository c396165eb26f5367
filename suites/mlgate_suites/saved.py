"""Failures on disk: what a search found is written, and what was written is brought back as rows."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mlgate.evaluation.rows import EvaluationData
from mlgate.failure import Case, DataRow, Exchange, Failure, exchange, file_name
from mlgate.generation.input_space import InputSpace
from mlgate.scoring.payloads import Batch
from mlgate_suites.problem import Problem

FOLDER = "failures"
# Characters of a request in a finding; evidence is read in one piece.
_MOST_SHOWN = 20_000


class Misfit(Exception):
    """A saved failure whose rows can not be tried on this version; says why."""


def exchanges_of(problem: Problem, path: str, *, most: int, shown: bool) -> tuple[Exchange, ...]:
    """Return the requests of *problem* with their answers, at most *most*: what is wrong shows in the last of them.

    Args:
        problem: What is wrong.
        path: Where the requests went.
        most: Number that is kept.
        shown: Whether their bodies may be stored.
    """
    answers = [*problem.answers, *[None] * len(problem.requests)]
    pairs = list(zip(problem.requests, answers, strict=False))[-most:]
    return tuple(exchange(path, body, kind, answer, shown=shown) for (body, kind), answer in pairs)


def shown_rows(case: Case) -> tuple[Any, ...]:
    """Return the rows for a reader: by name where columns have names, a row of the evaluation data by its key."""
    return tuple(_shown(row, case) for row in case.rows)


def _shown(row: Any, case: Case) -> Any:
    if isinstance(row, DataRow):
        return {"key": row.key, "changed": {str(label): value for label, value in row.changed}}
    return row if case.columns is None else dict(zip(case.columns, row, strict=True))


def shown_request(exchanges: Sequence[Exchange]) -> dict[str, str]:
    """Return the last request for a finding, and the command that repeats it; the whole of a long one is in the file."""
    if not exchanges:
        return {}
    last = exchanges[-1]
    shown = {"request": last.body if len(last.body) <= _MOST_SHOWN else f"{last.body[:_MOST_SHOWN]}…"}
    return shown | ({"curl": last.curl} if 0 < len(last.curl) <= _MOST_SHOWN else {})


def save(failure: Failure, folder: Path) -> str:
    """Write *failure* under the next free number and return the file's path from *folder*; empty where it is too large."""
    try:
        raw = failure.to_bytes()
    except ValueError:  # its rows are larger than anybody would keep; the finding still shows what it can
        return ""
    home = folder / FOLDER
    home.mkdir(exist_ok=True)
    number = 1
    while (home / file_name(failure.check, number)).exists():
        number += 1
    path = home / file_name(failure.check, number)
    path.write_bytes(raw)
    return f"{FOLDER}/{path.name}"


def rows_of(case: Case, space: InputSpace, data: EvaluationData | None) -> Batch:
    """Return the rows of a saved case as *space* has them: a column that came later has its default.

    Raises:
        Misfit: It needs evaluation data that are not there, or holds a column that the inputs have not.
    """
    batch = case.batch(_data_rows(case, space, data))
    if batch.columns is None or space.tensors:
        if batch.columns is not None or not space.tensors:
            raise Misfit("its rows are of another kind than the inputs of this version")
        return batch
    return _fitted(batch, space)


def _fitted(batch: Batch, space: InputSpace) -> Batch:
    columns = batch.columns or ()
    wanted = tuple(domain.name for domain in space.domains if domain.name is not None)
    strangers = [str(label) for label in columns if label not in wanted]
    if strangers:
        raise Misfit(f"it has a column '{strangers[0]}', and the inputs of this version have none")
    defaults = {domain.name: domain.default for domain in space.domains}
    rows = []
    for row in batch.rows:
        known: Mapping[Any, Any] = dict(zip(columns, row, strict=True))
        rows.append([known.get(label, defaults[label]) for label in wanted])
    return Batch(columns=wanted, rows=tuple(rows))


def _data_rows(case: Case, space: InputSpace, data: EvaluationData | None) -> dict[str | int, Sequence[Any]]:
    if not case.keys:
        return {}
    if data is None:
        raise Misfit("its rows are rows of the evaluation data, and there are none here")
    wanted = set(case.keys)
    places = {key: place for place, key in enumerate(data.keys) if key in wanted}
    missing = [key for key in case.keys if key not in places]
    if missing:
        raise Misfit(f"the evaluation data has no row {missing[0]!r}")
    found = data.take(list(places.values()))
    return {key: _as_drawn(found.take([row]), case, space) for row, key in enumerate(places)}


def _as_drawn(row: Batch, case: Case, space: InputSpace) -> list[Any]:
    """Return a row of the evaluation data as the domains spell it; a column that it lacks stands in the case's own."""
    labels, there = case.columns or (), row.columns or ()
    known = {domain.name: domain for domain in space.domains}
    values = []
    for label in labels:
        value = row.column(label)[0] if label in there else None
        values.append(known[label].spelled(value) if label in known and label in there else value)
    return values
