"""What became of a server that did not answer as it should: asked of its sandbox, and named."""

import time
from typing import TYPE_CHECKING

from mlgate.errors import FailureKind
from mlgate.quantities import format_duration
from mlgate.sandbox.interface import ServerFailure
from mlgate.sandbox.readiness import place_of_hang
from mlgate.scoring.answers import Answer

if TYPE_CHECKING:
    from mlgate.sandbox.interface import ModelServer

# A connection ends with the process; the engine tells of the process's end a moment later.
DEATH_GRACE_S = 2.0
_POLL_S = 0.1
# MLflow's answer to a prediction that took longer than its own limit.
GATEWAY_TIMEOUT = 504


def is_hang(answer: Answer) -> bool:
    """Return whether *answer* is the lack of one in time."""
    return answer.problem == "timeout" or answer.status == GATEWAY_TIMEOUT


def trouble_of(server: "ModelServer", answer: Answer) -> ServerFailure | None:
    """Return what is wrong with *server* after *answer*; `None` where the answer is all there is to say.

    Args:
        server: It gave *answer*, or failed to. One that hangs is made to print its stacks, and may end by that.
        answer: The answer.

    Raises:
        EngineError: The sandbox can not be asked.
    """
    if answer.problem == "connection":
        return _death(server)
    found = server.failure()
    if found is not None:
        return found
    if is_hang(answer):
        log = server.stacks()
        place = place_of_hang(log)
        message = (
            f"a prediction hangs{f' at {place}' if place else f', no answer in {format_duration(answer.elapsed_s)}'}"
        )
        return ServerFailure(kind=FailureKind.HANG_AT_PREDICT, message=message, log=log)
    if answer.status >= 500:
        message = f"the server answers {answer.status}"
        return ServerFailure(kind=FailureKind.ERROR_STATUS, message=message, log=server.log())
    return None


def _death(server: "ModelServer") -> ServerFailure:
    deadline = time.monotonic() + DEATH_GRACE_S
    found = server.failure()
    # A worker's death is told of at once, and may be that of the server's own that is under way.
    while (found is None or found.kind is FailureKind.OOM_WORKER) and time.monotonic() < deadline:
        time.sleep(_POLL_S)
        found = server.failure() or found
    if found is not None:
        return found
    message = "the server closed the connection without an answer, and still runs"
    return ServerFailure(kind=FailureKind.CONNECTION_LOST, message=message, log=server.log())
