"""Concurrency: what is asked beside other requests gets the answer that it gets alone."""

import json
import threading
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from mlgate.artifacts.signature import Schema, Signature
from mlgate.generation.input_space import InputSpace
from mlgate.quantities import format_duration
from mlgate.scoring.answers import Answer
from mlgate.scoring.client import ScoringClient
from mlgate.scoring.equality import Equality
from mlgate.scoring.payloads import Batch
from mlgate.typed_json import jsonable
from mlgate_suites.findings import inconclusive, problem_of, rows_or_none
from mlgate_suites.problem import Problem, Request, Unanswered, ask, ask_rows, lost
from mlgate_suites.search import Search
from mlgate_suites.shrink import answered

CONNECTIONS = 8
ROWS_PER_REQUEST = 8
# A race shows now and then only: the rows are asked for again, as long as that stays cheap.
_MOST_ROUNDS = 3
_ROUNDS_S = 1.0
# Each probe of narrowing asks for everything many times over.
_PROBES = 30
# The server works on a few requests at a time, so that the last of them waits for the others.
_WAITING_SHARE = 0.5


@pytest.mark.mlgate_check("properties.concurrent", suite="properties")
def test_concurrent(
    mlgate_client: ScoringClient,
    mlgate_signature: Signature,
    mlgate_inputs: InputSpace,
    mlgate_equality: Equality,
    mlgate_search: Search,
    mlgate_seed: int,
    mlgate_record: Any,
) -> None:
    """The same rows from eight connections at once get the answers that they get alone."""
    patience_s = mlgate_client.timeout_s * _WAITING_SHARE
    doubt = _doubt(
        mlgate_client, mlgate_inputs.sample(mlgate_inputs.request_rows or 1, seed=mlgate_seed), mlgate_equality
    )
    if doubt:
        mlgate_record(inconclusive(doubt, n=0))
        return

    aside = 0

    def answered_as_alone(batch: Batch) -> Problem | None:
        nonlocal aside
        kept = _answered_rows(mlgate_client, batch) if mlgate_inputs.request_rows is None else batch
        aside += len(batch) - len(kept)
        parts = _parts(kept, mlgate_inputs.request_rows)
        alone = [ask_rows(mlgate_client, part) for part in parts]
        slowest_s = max(answer.elapsed_s for _, answer, _ in alone)
        if slowest_s * CONNECTIONS > patience_s:
            raise Unanswered(alone[0][1])
        spent_s = sum(answer.elapsed_s for _, answer, _ in alone) * CONNECTIONS
        rounds = max(1, min(_MOST_ROUNDS, int(_ROUNDS_S / max(spent_s, 1e-6))))
        for _ in range(rounds):
            problem = _compared(mlgate_client, parts, alone, mlgate_equality, mlgate_signature.outputs)
            if problem is not None:
                return problem
        return None

    rows = (mlgate_inputs.request_rows or ROWS_PER_REQUEST) * CONNECTIONS
    searched = mlgate_search.run(answered_as_alone, mlgate_inputs, examples=rows, rows=rows, probes=_PROBES)
    if searched.found is None and aside:
        searched = replace(searched, rows=searched.rows - aside, unanswered=searched.unanswered + aside)
    held = f"{{n}} rows, asked for over {CONNECTIONS} connections at once, are answered as alone"
    mlgate_record(mlgate_search.finding(searched, passed=held))


Asked = tuple[Sequence[Any], Answer, Request]


def _doubt(client: ScoringClient, batch: Batch, equality: Equality) -> str:
    """Return why answers given in company would say nothing, or nothing: asked for twice, alone."""
    first, again = (ask(client, batch)[0] for _ in range(2))
    rows = [rows_or_none(answer) for answer in (first, again)]
    if rows[0] is None or rows[1] is None:
        return ""  # such a row is set aside
    if again.elapsed_s * CONNECTIONS > client.timeout_s * _WAITING_SHARE:
        alone = format_duration(again.elapsed_s)
        return f"a request alone takes {alone}: {CONNECTIONS} at once can not all be answered within runtime.request_timeout"
    if equality.first_difference(rows[0], rows[1]) is not None:
        return "the same rows, asked alone, differ from one time to the next: properties.deterministic comes first"
    return ""


def _answered_rows(client: ScoringClient, batch: Batch) -> Batch:
    """Return the rows of *batch* that are answered: here a batch costs so much that each of them is asked for first.

    Raises:
        Unanswered: None of them is.
    """
    whole, _ = ask(client, batch)
    if rows_or_none(whole) is not None:
        return batch
    kept = answered(client, batch)
    if kept is None:
        raise Unanswered(whole)
    return kept


def _parts(batch: Batch, request_rows: int | None) -> list[Batch]:
    """Cut *batch* into as many requests as there are connections, so that different rows are under way at any moment."""
    count = min(CONNECTIONS, len(batch) // (request_rows or 1))
    ends = [len(batch) * place // count for place in range(count + 1)]
    return [batch.take(range(start, end)) for start, end in pairwise(ends)]


def _compared(
    client: ScoringClient, parts: Sequence[Batch], alone: Sequence[Asked], equality: Equality, outputs: Schema | None
) -> Problem | None:
    """Ask for all *parts* over all connections at once; return the first answer that differs from the one *alone*."""
    requests = [request for _, _, request in alone]
    answers = at_once(client, requests)
    if any(lost(answer) for _, answer in answers):
        # The connections do not bring the server back: eight would do it at once.
        client.close()
        client.server.restart()
    for place, answer in answers:
        text = problem_of(answer, outputs, rows=len(parts[place]))
        if text is not None:
            if not lost(answer) and problem_of(alone[place][1], outputs, rows=len(parts[place])) is not None:
                continue  # in no company either: `properties.total`'s to find
            return Problem(
                text=f"beside {CONNECTIONS - 1} other requests: {text}",
                answers=(alone[place][1], answer),
                requests=(requests[place], requests[place]),
                hang=lost(answer),
            )
        problem = _difference(alone[place], answer, equality)
        if problem is not None:
            _check_steady(client, parts[place], alone[place], equality)
            return problem
    return None


def _difference(alone: Asked, answer: Answer, equality: Equality) -> Problem | None:
    rows = answer.rows()
    place = equality.first_difference(alone[0], rows)
    if place is None:
        return None
    pair = " then ".join(json.dumps(jsonable(side[place]), ensure_ascii=False)[:200] for side in (alone[0], rows))
    return Problem(
        text=f"a row is answered differently beside {CONNECTIONS - 1} other requests: alone {pair} "
        f"(tolerance {equality.tolerance:g})",
        answers=(alone[1], answer),
        requests=(alone[2], alone[2]),
    )


def _check_steady(client: ScoringClient, part: Batch, alone: Asked, equality: Equality) -> None:
    """Ask once more without company: answers that differ then as well are `properties.deterministic`'s to find.

    Raises:
        Unanswered: They do.
    """
    again = ask_rows(client, part)
    if equality.first_difference(alone[0], again[0]) is not None:
        raise Unanswered(again[1])


def at_once(client: ScoringClient, requests: Sequence[Request]) -> list[tuple[int, Answer]]:
    """Send all *requests* over each of the connections, which begin together and each at another place.

    A connection that loses its server sends nothing more.

    Returns:
        Place of the request and answer, connection by connection.
    """
    gate = threading.Barrier(CONNECTIONS)
    found: list[list[tuple[int, Answer]]] = [[] for _ in range(CONNECTIONS)]

    def send(number: int) -> None:
        own = ScoringClient(client.server, timeout_s=client.timeout_s)
        gate.wait()
        for turn in range(len(requests)):
            place = (number + turn) % len(requests)
            body, content_type = requests[place]
            answer = own.post(body, content_type=content_type)
            found[number].append((place, answer))
            if lost(answer):
                break
        own.close()

    threads = [threading.Thread(target=send, args=(number,), daemon=True) for number in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [each for answers in found for each in answers]
