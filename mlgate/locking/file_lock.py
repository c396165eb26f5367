"""A lock kept by a file beside the store, for a registry without a server: whoever can write the store can lock it.

The kernel ends it with the process, so a killed holder blocks nobody. It is never taken from a living one: who hangs
beyond the expiry fails its own `check`, and the others are told which process to look at. Who holds it stands in a second
file, whose token is the epoch: a lock file that was deleted under its holder lets a second one in, and then `check` fails
for the first.
"""

import json
import os
import secrets
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from mlgate.errors import LockedError, RegistryError
from mlgate.locking.epochs import lock_name
from mlgate.locking.interface import EXPIRY_S, checked_expiry
from mlgate.locking.passing import at, elapsed_clock

_MAX_BYTES = 10_000


class StoreFileLock:
    """Locks as files beside a store's file or in its folder. Not across machines: a network's file system may not lock.

    Args:
        store: The database file, or the folder, that is the store.
        clock: Seconds as they pass on this machine.
    """

    def __init__(self, store: Path, *, clock: Callable[[], float] = elapsed_clock) -> None:
        self._store = store.resolve()  # by whichever link or working directory it was named
        self._clock = clock

    def path(self, name: str) -> Path:
        """Return the lock file of a registered model."""
        own = f"mlgate-lock-{lock_name(name)}"
        return self._store / f".{own}" if self._store.is_dir() else self._store.with_name(f"{self._store.name}.{own}")

    def acquire(self, name: str, *, holder: str, expiry_s: float = EXPIRY_S) -> "HeldFile":
        """Lock the file, or say who has."""
        path, deadline = self.path(name), self._clock() + checked_expiry(expiry_s)
        told = {"holder": holder, "token": secrets.token_hex(16), "since": time.time(), "until": time.time() + expiry_s}
        try:
            # Who may write the store may lock it, whoever made the lock file.
            mode = self._store.stat().st_mode & 0o666
            lock = FileLock(path, mode=mode, thread_local=False)
            lock.acquire(timeout=0)
        except Timeout:
            raise LockedError(_words(name, path), hint="try again when that is over, or end that process") from None
        except OSError as error:
            raise RegistryError(f"{path} can not be locked: {error.strerror or error}") from error
        held = HeldFile(name, path, lock, token=str(told["token"]), deadline=deadline, clock=self._clock)
        try:
            _write(_holder_file(path), json.dumps(told), mode)
        except BaseException as error:
            held.release()
            if isinstance(error, OSError):
                raise RegistryError(f"{path} can not be locked: {error.strerror or error}") from error
            raise
        return held


class HeldFile:
    """A lock file of ours."""

    def __init__(
        self, name: str, path: Path, lock: FileLock, *, token: str, deadline: float, clock: Callable[[], float]
    ) -> None:
        self._name = name
        self._path = path
        self._lock = lock
        self._token = token
        self._deadline = deadline
        self._clock = clock
        self._released = False

    def check(self) -> None:
        """Read who holds it: it must be us, and our time not over."""
        if self._released:
            raise LockedError(f"{self._name}: this process has given the lock back")
        if _read(self._path).get("token") != self._token:
            raise LockedError(f"{_words(self._name, self._path)}: the file was deleted under this process")
        if self._clock() >= self._deadline:
            raise LockedError(f"{self._name}: this process took longer than the lock lasts", hint="try again")

    def release(self) -> None:
        """Unlock the file, which stays: deleting it would let two in."""
        if self._released:
            return
        self._released = True
        with suppress(OSError):
            if _read(self._path).get("token") == self._token:
                _holder_file(self._path).unlink()
        with suppress(OSError):
            self._lock.release()


def _holder_file(path: Path) -> Path:
    return path.with_name(f"{path.name}~holder")


def _write(path: Path, text: str, mode: int) -> None:
    """Replace *path* at once: nobody reads half of it."""
    descriptor, temporary = tempfile.mkstemp(prefix=f"{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        Path(temporary).chmod(mode)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _read(path: Path) -> dict[str, object]:
    try:
        with _holder_file(path).open("rb") as file:
            found = json.loads(file.read(_MAX_BYTES))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _words(name: str, path: Path) -> str:
    found = _read(path)
    holder = found.get("holder")
    who = holder if isinstance(holder, str) else "a process that did not say which"
    since, until = found.get("since"), found.get("until")
    try:
        when = f" since {at(float(str(since)))}, until {at(float(str(until)))} if it keeps to its time"
    except (ValueError, OverflowError, OSError):
        when = ""
    return f"{name}: locked by {who}{when} ({path})"
