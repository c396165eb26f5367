"""Cold start: how long users wait after a container starts, and what it takes of the machine's memory."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from mlgate.artifacts.signature import Signature
from mlgate.cold_start.judgement import ColdStarts, Start, bytes_read, judge_peak_memory, judge_regression, judge_times
from mlgate.cold_start.timeline import FIRST_PREDICTION, Timeline
from mlgate.errors import FailureKind, MlgateError, ServerError
from mlgate.generation.input_space import InputSpace, Unsupported, input_space
from mlgate.policy import Policy
from mlgate.quantities import format_duration
from mlgate.sandbox.interface import Champion, ModelServer
from mlgate.scoring.client import ScoringClient
from mlgate.scoring.equality import Equality, equality_for
from mlgate.scoring.payloads import Batch
from mlgate_suites.findings import problem_of, rows_or_none


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One version to start again and again.

    Attributes:
        server: Makes fresh servers of it; itself warm, or stopped.
        row: What each is asked.
        expected: What the warm server answered; `None` where it had no answer to any row.
        signature: Of its answers.
        equality: When two of them are equal.
        timeout_s: Patience of a request.
    """

    server: ModelServer
    row: Batch
    expected: Any
    signature: Signature
    equality: Equality
    timeout_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The challenger's starts and the champion's, which is `None` where no check asks for it."""

    challenger: ColdStarts
    champion: ColdStarts | None = None


@pytest.fixture(scope="module")
def cold_starts(
    mlgate_client: ScoringClient,
    mlgate_signature: Signature,
    mlgate_inputs: InputSpace,
    mlgate_equality: Equality,
    mlgate_champion: Champion | None,
    mlgate_policy: Policy,
    mlgate_seed: int,
) -> Measured:
    """Start fresh servers as often as the policy says, one after another, and ask each for a prediction.

    The champion's starts alternate with the challenger's, and so does which of the two begins a round.
    """
    section = mlgate_policy.values.cold_start
    row, expected = _warm_answer(mlgate_client, mlgate_inputs, mlgate_seed)
    tested = Side(
        server=mlgate_client.server,
        row=row,
        expected=expected,
        signature=mlgate_signature,
        equality=mlgate_equality,
        timeout_s=mlgate_client.timeout_s,
    )
    rival: Side | str | None = None
    if mlgate_champion is not None and section.max_ratio_to_champion is not None:
        rival = _champion(mlgate_champion, mlgate_inputs, mlgate_policy, mlgate_seed)
    sides = {"challenger": tested} | ({"champion": rival} if isinstance(rival, Side) else {})
    found = {name: ColdStarts(image=_image(side.server)) for name, side in sides.items()}
    for turn in range(section.repeats):
        for name in sorted(sides, reverse=turn % 2 == 0):
            if not found[name].problem:
                found[name] = _one_more(found[name], sides[name])
        if found["challenger"].problem:
            break
    found["challenger"] = replace(found["challenger"], from_disk=_from_disk(found["challenger"], tested))
    champion = ColdStarts(problem=rival) if isinstance(rival, str) else found.get("champion")
    return Measured(challenger=found["challenger"], champion=champion)


def _champion(champion: Champion, space: InputSpace, policy: Policy, seed: int) -> Side | str:
    """Serve the champion once, so that it is built and its files are read; return why that is impossible, in words."""
    outputs = champion.signature.outputs
    try:
        with champion.serving() as client:
            row, expected = _warm_answer(client, space, seed)
            if expected is None:  # it may ask for other columns than the challenger does
                row, expected = _warm_answer(client, input_space(champion.signature.inputs, rules={}, known=[]), seed)
            if expected is None:
                return "it answers no valid row"
            return Side(
                server=client.server,
                row=row,
                expected=expected,
                signature=champion.signature,
                equality=equality_for(outputs, tolerance=policy.values.properties.tolerance),
                timeout_s=client.timeout_s,
            )
    except (MlgateError, Unsupported) as error:
        return str(error)


def _one_more(starts: ColdStarts, side: Side) -> ColdStarts:
    """Start one fresh server and add what came of it."""
    server = side.server.another()
    try:
        return replace(starts, starts=(*starts.starts, _measured(server, side)))
    except ServerError as error:
        return replace(starts, problem=error.message, kind=str(error.kind), log=error.log)
    finally:
        server.stop()


def _from_disk(starts: ColdStarts, side: Side) -> Start | None:
    """Start a big model once more with its files dropped from the page cache; `None` where that is not to be had."""
    middle = starts.middle
    if starts.problem or middle is None or not bytes_read(middle) or not side.server.forget_model_pages():
        return None
    return _one_more(ColdStarts(), side).middle


def _measured(server: ModelServer, side: Side) -> Start:
    """Start it, ask it once, and read its counters.

    Raises:
        ServerError: It did not get ready, or its first prediction is not the warm server's.
    """
    boot = server.start()
    client = ScoringClient(server, timeout_s=side.timeout_s)
    began = time.perf_counter()
    answer = client.score(side.row)
    rows = rows_or_none(answer)
    first_s = boot.ready_s + time.perf_counter() - began
    client.close()
    if side.expected is not None and (rows is None or not side.equality.same(rows[0], side.expected)):
        wrong = problem_of(answer, side.signature.outputs, rows=len(side.row)) or "not the answer of the warm server"
        kind = FailureKind.WRONG_FIRST_PREDICTION
        raise ServerError(f"the first prediction is wrong: {wrong}", kind=kind, log=server.log())
    # Where a server tells no phases, what was measured from outside stands alone. `ready` is when it says so itself;
    # until our probe noticed, the first prediction could not be sent, so that wait is the first prediction's.
    phases = dict(boot.phases)
    phases.setdefault("ready", boot.ready_s)
    phases[FIRST_PREDICTION] = first_s
    return Start(
        ready_s=boot.ready_s,
        first_prediction_s=first_s,
        timeline=Timeline(before=boot.before, phases=phases, imports=_outermost(boot.imports)),
        memory=server.memory(),
        model_bytes=boot.model_bytes,
        read=boot.read,
    )


def _outermost(imports: Any) -> dict[str, Any]:
    """Keep the packages that took a hundredth of a second and more: the rest is noise in the evidence."""
    return {
        phase: {package: own for package, own in packages.items() if sum(own.values()) >= 0.01}
        for phase, packages in imports.items()
    }


def _image(server: ModelServer) -> str:
    """Say whether the environment image was there, and what making it took."""
    if server.image.origin == "given":
        return "given"
    made = server.environment_image
    if made.hit:
        return f"hit ({format_duration(made.seconds.get('total', 0.0))})"
    steps = ", ".join(f"{name} {format_duration(took)}" for name, took in made.seconds.items())
    return f"build ({steps})" if steps else "build"


def _warm_answer(client: ScoringClient, space: InputSpace, seed: int) -> tuple[Batch, Any]:
    """Return a row that the warm server answers, with its answer; the last row tried and `None` where there is none."""
    rows = space.sample(20, seed=seed)
    for row in _singly(rows):
        answered = rows_or_none(client.score(row))
        if answered:
            # Asked again: the very first answer of a server is what is being doubted here.
            again = rows_or_none(client.score(row))
            return row, (again or answered)[0]
    return rows.take([0]), None


def _singly(rows: Batch) -> Iterator[Batch]:
    return (rows.take([index]) for index in range(len(rows)))


@pytest.mark.mlgate_check("cold_start.ready", suite="cold_start")
def test_ready(cold_starts: Measured, mlgate_policy: Policy, mlgate_record: Any) -> None:
    """The median time from container start to readiness is within the limit."""
    limit_s = mlgate_policy.values.cold_start.ready
    mlgate_record(judge_times(cold_starts.challenger, of="ready_s", limit_s=limit_s, what="ready"))


@pytest.mark.mlgate_check("cold_start.first_prediction", suite="cold_start")
def test_first_prediction(cold_starts: Measured, mlgate_policy: Policy, mlgate_record: Any) -> None:
    """The median time from container start to the first correct prediction is within the limit."""
    limit_s = mlgate_policy.values.cold_start.first_prediction
    mlgate_record(
        judge_times(
            cold_starts.challenger,
            of="first_prediction_s",
            limit_s=limit_s,
            what="first correct prediction",
            champion=cold_starts.champion,
        )
    )


@pytest.mark.mlgate_check("cold_start.peak_memory", suite="cold_start")
def test_peak_memory(cold_starts: Measured, mlgate_policy: Policy, mlgate_record: Any) -> None:
    """The most memory that any start took, first prediction included, is within the limit."""
    limit = mlgate_policy.values.cold_start.peak_memory
    if limit is None:
        raise ValueError("the policy has no limit for the peak memory")
    mlgate_record(judge_peak_memory(cold_starts.challenger, limit=limit))


@pytest.mark.mlgate_check("cold_start.regression", suite="cold_start")
def test_regression(cold_starts: Measured, mlgate_policy: Policy, mlgate_record: Any) -> None:
    """The median start takes at most so many times as long as the champion's, started next to it."""
    max_ratio = mlgate_policy.values.cold_start.max_ratio_to_champion
    if max_ratio is None:
        raise ValueError("the policy has no limit against the champion")
    mlgate_record(judge_regression(cold_starts.challenger, cold_starts.champion, max_ratio=max_ratio))
