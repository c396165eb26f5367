"""Which lock a registry has, and taking it."""

import getpass
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from mlgate.locking.file_lock import StoreFileLock
from mlgate.locking.interface import EXPIRY_S, Held, Lock
from mlgate.locking.registry_lock import RegistryLock
from mlgate.registry.interface import ModelRegistry


@contextmanager
def lock_for(
    registry: ModelRegistry,
    name: str,
    *,
    holder: str | None = None,
    expiry_s: float = EXPIRY_S,
    lock: Lock | None = None,
) -> Iterator[Held]:
    """Hold the lock of a registered model for the length of a `with`.

    Call `check` of what it yields right before and right after each write.

    Args:
        registry: Where the model is.
        name: The registered model.
        holder: Who wants it, for whoever finds it locked; default: `this_process()`.
        expiry_s: Longest that we block the others if we vanish, in seconds.
        lock: What keeps it; default: `keeper()`. A cluster's comes in here.

    Raises:
        LockedError: Somebody has it: who, since when, until when.
        RegistryError: Who keeps the lock does not answer.
    """
    held = (lock or keeper(registry)).acquire(name, holder=holder or this_process(), expiry_s=expiry_s)
    try:
        yield held
    finally:
        held.release()


def keeper(registry: ModelRegistry) -> Lock:
    """Return what keeps the locks of a registry: a file where the store is one, else the registry itself."""
    file = registry.store_file
    return RegistryLock(registry) if file is None else StoreFileLock(file)


def this_process(environment: Mapping[str, str] = os.environ) -> str:
    """Return who is asking: the CI job, or `ann@laptop, process 4711`."""
    who = environment.get("GITLAB_USER_LOGIN") or _login()
    if job := environment.get("CI_JOB_URL"):
        return f"{who} in {job}"
    return f"{who}@{socket.gethostname()}, process {os.getpid()}"


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
