"""Find the highest rate within the limits: a closed loop with more and more callers, in locust, in its own process."""

import json
import subprocess
import tempfile
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import numpy as np

from mlgate.errors import LoadGeneratorError
from mlgate.load.capacity import MOST_CALLERS, Capacity, Limits, Step, most_steps
from mlgate.load.locust import FINISH_ALLOWANCE_S, START_ALLOWANCE_S
from mlgate.load.plan import WARM_UP_REQUESTS, LoadPlan, Target
from mlgate.load.process import CORES_VARIABLE, ending, locust_process
from mlgate.load.schedule import Schedule

LOG_FILE = "capacity.log"
CLOSED_LOOP = Path(__file__).parent / "generator" / "closed_loop.py"

# At 20/s, forty requests: enough for a p95 that is not their slowest.
STEP_S = 2.0
# Connections open and queues fill; far above what either takes at a latency that is within any limit.
DISCARD_S = 0.5

_SEARCH_FILE = "search.json"
_STEPS_FILE = "steps.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """How the capacity is looked for.

    Attributes:
        limits: That every step is held to.
        step_s: Measured seconds of each step.
        discard_s: Seconds before them.
        most_callers: Requests under way at once that no step exceeds.
    """

    limits: Limits
    step_s: float = STEP_S
    discard_s: float = DISCARD_S
    most_callers: int = MOST_CALLERS

    def write(self, private: Path) -> None:
        """Leave it in the folder *private*."""
        (private / _SEARCH_FILE).write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, private: Path) -> Self:
        """Read what `write` left."""
        read = json.loads((private / _SEARCH_FILE).read_text(encoding="utf-8"))
        return cls(**{**read, "limits": Limits(**read["limits"])})


def tell_steps(private: Path, steps: Sequence[Step]) -> None:
    """Leave *steps* in the folder *private*."""
    (private / _STEPS_FILE).write_text(json.dumps([asdict(step) for step in steps]), encoding="utf-8")


def read_steps(private: Path) -> list[Step]:
    """Read what `tell_steps` left."""
    return [Step(**step) for step in json.loads((private / _STEPS_FILE).read_text(encoding="utf-8"))]


def find_capacity(
    target: Target,
    limits: Limits,
    *,
    folder: Path,
    request_timeout_s: float = 10.0,
    step_s: float = STEP_S,
    discard_s: float = DISCARD_S,
    most_callers: int = MOST_CALLERS,
    cores: Collection[int] | None = None,
) -> Capacity:
    """Ask *target* with 1, 2, 4, … callers until a limit is exceeded or the rate no longer grows, then between.

    Each caller waits for its answer, so the server is never offered more than it takes: this finds what it can do, and
    says nothing of how it would stand a fixed rate. Some ten steps of two seconds and a half. Leaves `capacity.log` in
    *folder*; a locust report of a load that changes all the time would say little.

    Args:
        target: Whom to ask, and what, in turn.
        limits: That every step is held to.
        folder: Created if need be.
        request_timeout_s: Seconds from a request's send after which it counts as not answered.
        step_s: Measured seconds of each step.
        discard_s: Seconds before them whose requests do not count.
        most_callers: Requests under way at once that no step exceeds.
        cores: Cores that the generator may use; `None`: any.

    Raises:
        LoadGeneratorError: The generator died, hung or gave no steps.
    """
    folder.mkdir(parents=True, exist_ok=True)
    search = Search(limits=limits, step_s=step_s, discard_s=discard_s, most_callers=most_callers)
    nothing = Schedule(sends_s=np.empty(0), rate=1.0, duration_s=step_s)
    step_at_most_s = discard_s + step_s + request_timeout_s
    requests_s = WARM_UP_REQUESTS * request_timeout_s + most_steps(most_callers) * step_at_most_s
    with tempfile.TemporaryDirectory(prefix=".load-", dir=folder.parent) as made:
        private = Path(made)
        LoadPlan(targets=(target,), schedule=nothing, timeout_s=request_timeout_s).write(private)
        search.write(private)
        variables = {CORES_VARIABLE: ",".join(map(str, cores))} if cores else {}
        with (
            (folder / LOG_FILE).open("wb") as log,
            locust_process(
                CLOSED_LOOP,
                ["-u", "1", "-r", "1"],
                folder=folder,
                private=private,
                log=log.fileno(),
                variables=variables,
            ) as process,
        ):
            _wait(process, START_ALLOWANCE_S + requests_s + FINISH_ALLOWANCE_S)
        try:
            return Capacity.of(read_steps(private))
        except (OSError, ValueError, TypeError) as error:
            raise _failure(f"left no steps ({error})") from error


def _wait(process: "subprocess.Popen[bytes]", timeout_s: float) -> None:
    try:
        code = process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        raise _failure(f"was still running after {timeout_s:g} s") from None
    if code:
        raise _failure(ending(code))


def _failure(what: str) -> LoadGeneratorError:
    return LoadGeneratorError(f"load.capacity: the load generator {what}", hint=f"read load/{LOG_FILE}")
