"""Nothing outlives the run, also when it is killed: a process of ours that cleans up once the run's process is gone.

Run as `python -m mlgate.sandbox.watchdog`; it starts with the standard library only, so as to be there at once.
"""

import argparse
import os
import secrets
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from mlgate.errors import ConfigError
from mlgate.sandbox.address import EngineAddress
from mlgate.sandbox.clock import seconds_of
from mlgate.sandbox.session import OWNER_LABEL, SESSION_LABEL, SessionTag, is_dead

TMP_PREFIX = "mlgate-"
CLOSE_TIMEOUT_S = 30.0
# A request that was under way when the owner died may still make something: look again until nothing new turns up.
QUIET_ROUNDS = 2
ROUND_S = 0.3
# The engine may be restarting. After this the next run's sweep takes over.
GIVE_UP_S = 120.0
# The run's own start-up comes first; a run that is over sooner has little to clean.
PRELOAD_AFTER_S = 1.0
_CLEAN = b"clean\n"
# Whether a thing goes, by its labels and the time when it was made.
Doomed = Callable[[Mapping[str, str], float | None], bool]


class Watchdog:
    """The owner's side."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process

    @classmethod
    def start(cls, session: SessionTag, tmp_dir: Path, *, address: EngineAddress | None = None) -> Self:
        """Start watching this process.

        Args:
            session: What is removed from the engine when this process is gone.
            tmp_dir: What is removed from the disk then; its name begins with `mlgate-`, so that a slip can not cost a home.
                It is made here where it is not there: after the watchdog, so that a kill at any moment leaves nothing.
            address: The engine, which must be the same one then, whatever became of docker's settings; default: what
                the environment names.

        Raises:
            ConfigError: *tmp_dir* has another name.
        """
        if not tmp_dir.name.startswith(TMP_PREFIX):
            raise ConfigError(f"temporary directory {tmp_dir} is not named {TMP_PREFIX}…")
        command = [
            sys.executable,
            "-m",
            "mlgate.sandbox.watchdog",
            "--session",
            session.id,
            "--owner",
            str(os.getpid()),
        ]
        # It has to find this very mlgate, wherever it was imported from; its own directory must not vanish under it.
        root = str(Path(__file__).parents[2])
        path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
        process = subprocess.Popen(
            [*command, "--tmp", str(tmp_dir.absolute())],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd="/",
            env={**os.environ, **(address.environment() if address else {}), "PYTHONPATH": path},
        )
        tmp_dir.mkdir(mode=0o700, exist_ok=True)
        return cls(process)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def close(self, *, clean: bool = False) -> None:
        """Let it remove what is left and wait for it. May be called twice.

        Args:
            clean: The caller has removed everything on the engine; only the temporary directory is looked at.
        """
        if self._process.stdin is not None and not self._process.stdin.closed:
            with suppress(OSError):
                if clean:
                    self._process.stdin.write(_CLEAN)
                self._process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(CLOSE_TIMEOUT_S)


def new_folder() -> Path:
    """Return the path of a temporary directory that is not there yet, with a name that nobody can guess."""
    return Path(tempfile.gettempdir()) / f"{TMP_PREFIX}{secrets.token_hex(8)}"


def sweep(engine: Any) -> int:
    """Remove what dead owners left on *engine* (a `mlgate.sandbox.engine.Engine`); return how many things that were."""
    now, here = engine.now(), engine.on_this_kernel

    def left(labels: Mapping[str, str], made_at: float | None) -> bool:
        return is_dead(labels.get(OWNER_LABEL, ""), made_at=made_at, now=now, same_kernel=here)

    return _remove_all(engine.client, left)


def remove_session(engine: Any, session: SessionTag) -> int:
    """Remove everything of *session* from *engine*; return how many things that were."""
    return _remove_all(engine.client, _of(session.id))


def _of(session: str) -> Doomed:
    return lambda labels, _: labels.get(SESSION_LABEL) == session


def _remove_all(client: Any, doomed: Doomed) -> int:
    """Remove containers first, as networks and volumes are in use by them."""
    api, label = client.api, {"label": SESSION_LABEL}
    families: tuple[tuple[Callable[[], list[Any]], Callable[[Mapping[str, Any]], object]], ...] = (
        (
            lambda: api.containers(all=True, filters=label),
            lambda box: api.remove_container(box["Id"], v=True, force=True),
        ),
        (lambda: api.networks(filters=label), lambda network: api.remove_network(network["Id"])),
        (lambda: api.volumes(filters=label)["Volumes"] or [], lambda volume: api.remove_volume(volume["Name"])),
    )
    count = 0
    for listed, remove in families:
        going = [thing for thing in listed() if doomed(thing.get("Labels") or {}, _made_at(thing))]
        count += len(going)
        _remove_each(going, remove)
    return count


def _remove_each(things: list[Mapping[str, Any]], remove: Callable[[Mapping[str, Any]], object]) -> None:
    """Remove all at once: the engine takes 0.2 s over each container, most of it waiting."""
    import docker.errors  # noqa: PLC0415  (0.15 s that a process which only starts a watchdog need not pay)
    import requests  # noqa: PLC0415  (as above)

    def gone(thing: Mapping[str, Any]) -> None:
        # Gone already, being removed by somebody else, or in use until a container is gone: the next round sees.
        with suppress(docker.errors.APIError, requests.RequestException):
            remove(thing)

    if things:
        with ThreadPoolExecutor(min(8, len(things))) as pool:
            list(pool.map(gone, things))


def _made_at(attributes: Mapping[str, Any]) -> float | None:
    made = attributes.get("Created") or attributes.get("CreatedAt")
    if isinstance(made, int):
        return float(made)
    try:
        return seconds_of(str(made))
    except ValueError:
        return None


def _clean_engine(session: str) -> None:
    import docker.errors  # noqa: PLC0415  (see _remove_all)
    import requests  # noqa: PLC0415  (as above)

    from mlgate.errors import EngineError  # noqa: PLC0415  (as above)
    from mlgate.sandbox.engine import connect  # noqa: PLC0415  (as above)

    deadline = time.monotonic() + GIVE_UP_S
    quiet = 0
    while quiet < QUIET_ROUNDS and time.monotonic() < deadline:
        try:
            engine = connect()
            found = _remove_all(engine.client, _of(session))
            engine.close()
        except (EngineError, docker.errors.DockerException, requests.RequestException, OSError):
            if not Path("/var/run/docker.sock").exists() and not os.environ.get("DOCKER_HOST"):
                return  # There is no engine on this host, and so nothing on it.
            found = 1
        quiet = 0 if found else quiet + 1
        if quiet < QUIET_ROUNDS:
            time.sleep(ROUND_S)


def _preload() -> None:
    """Import now what cleaning needs: at the end it would be half of the time."""
    import docker.errors  # noqa: F401, PLC0415
    import requests  # noqa: F401, PLC0415

    import mlgate.sandbox.engine  # noqa: F401, PLC0415


def _wait_for_the_end(owner: int) -> bytes:
    """Block until standard input ends or the owner dies; return what was said on standard input.

    Both, because a process that the owner forked may hold the pipe's other end open for longer than the owner lives.
    """
    said = b""
    waiting: list[int] = [0]
    with suppress(OSError):
        waiting.append(os.pidfd_open(owner))
    patience: float | None = PRELOAD_AFTER_S
    while True:
        ready, _, _ = select.select(waiting, [], [], patience)
        if not ready:
            patience = None
            _preload()
        elif 0 in ready:
            chunk = os.read(0, 64)
            if not chunk:
                return said
            said += chunk
        else:
            return said


def main() -> None:
    """Wait, clean up, end."""
    # A Ctrl-C or a cancelled CI job is sent to everybody; this process is there for afterwards.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    parser = argparse.ArgumentParser()
    parser.add_argument("--session", required=True)
    parser.add_argument("--owner", required=True, type=int)
    parser.add_argument("--tmp", required=True, type=Path)
    options = parser.parse_args()
    said = _wait_for_the_end(options.owner)
    if options.tmp.name.startswith(TMP_PREFIX) and not options.tmp.is_symlink():
        shutil.rmtree(options.tmp, ignore_errors=True)
    if said != _CLEAN:
        _clean_engine(options.session)
        # A server of the process sandbox may have written while it was being killed.
        shutil.rmtree(options.tmp, ignore_errors=True)


if __name__ == "__main__":
    main()
