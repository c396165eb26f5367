"""For commands that use the engine: nothing of theirs outlives them, however they end."""

import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlgate.sandbox.engine import Engine
    from mlgate.sandbox.session import SessionTag


@contextmanager
def guarded(engine: "Engine") -> Iterator["SessionTag"]:
    """Give the labels for everything that must not outlive the block.

    What is left when it ends by an error, or when this process is killed, is removed by the watchdog; what dead runs
    have left is removed first.

    Raises:
        EngineError: The engine does not answer.
    """
    from mlgate.images.storage import sweep_staging
    from mlgate.sandbox.engine import engine_errors
    from mlgate.sandbox.session import SessionTag
    from mlgate.sandbox.watchdog import Watchdog, new_folder, sweep

    with engine_errors("what dead runs left can not be removed"):
        sweep(engine)
        sweep_staging(engine)
    session = SessionTag.new()
    work = new_folder()
    watchdog = Watchdog.start(session, work, address=engine.address)
    # A cancelled CI job is told so by SIGTERM: it gets the same time to clean up as a Ctrl-C.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    clean = False
    try:
        yield session
        clean = True
    finally:
        signal.signal(signal.SIGTERM, before)
        watchdog.close(clean=clean)
        shutil.rmtree(work, ignore_errors=True)
