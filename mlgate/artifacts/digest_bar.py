"""A bar for digests that take their time."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mlgate.artifacts.hashing import Watch

_AFTER_S = 1.0


@contextmanager
def digest_bar(*, shown: bool, clock: Callable[[], float] = time.monotonic) -> Iterator[Watch | None]:
    """Show a bar on standard error for a digest that takes longer than a second.

    Args:
        shown: Whether somebody looks: `sys.stderr.isatty()`.
        clock: Seconds, from anywhere on.

    Yields:
        What `read_directory` and `digest_files` take as *watch*; `None` where nobody looks.
    """
    if not shown:
        yield None
        return
    from rich.console import Console  # noqa: PLC0415 - only with a bar
    from rich.progress import DownloadColumn, Progress, TextColumn, TransferSpeedColumn  # noqa: PLC0415 - as above

    columns = (TextColumn("digesting"), DownloadColumn(), TransferSpeedColumn())
    bar = Progress(*columns, console=Console(stderr=True), transient=True)
    task, began = bar.add_task("", total=None), clock()

    def show(done: int, total: int) -> None:
        if clock() - began >= _AFTER_S:
            bar.start()
            bar.update(task, completed=done, total=total)

    try:
        yield show
    finally:
        bar.stop()
