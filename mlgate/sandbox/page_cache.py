"""The host's page cache of a model's files: what makes the second start faster than the first."""

import os
import stat
from pathlib import Path


def forget(folder: Path) -> bool:
    """Have the kernel drop the cached pages of every file below *folder*; return whether it took the advice for all.

    Advice only (posix_fadvise(2), POSIX_FADV_DONTNEED): pages that a process maps stay. What was read from the disk
    afterwards is counted by the server, and says what came of it.
    """
    try:
        for parent, _, names in os.walk(folder):
            for name in names:
                _forget(Path(parent, name))
    except OSError:
        return False
    return True


def _forget(path: Path) -> None:
    if not stat.S_ISREG(path.lstat().st_mode):
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        os.fdatasync(descriptor)  # a page that was not written yet can not be dropped
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)
