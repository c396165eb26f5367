"""Ray for one run: joined where `RAY_ADDRESS` says, else started on this machine. Quiet, and gone afterwards."""

import logging
import os
import secrets
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from mlgate.errors import ConfigError, EngineError
from mlgate.evaluation.engines.ray_guard import MARK, TMP_PREFIX, end_all, guard

# Rows on their way; what does not fit is on the disk, in the run's own folder.
OBJECT_STORE_BYTES = 256 * 2**20
# One for the process: Ray reads it once.
_TOKEN = secrets.token_hex(32)
_QUIET: Mapping[str, Any] = {"log_to_driver": False, "logging_level": logging.CRITICAL}
# Its words go where ours do, and say nothing that we do not.
_SILENT = {"RAY_DATA_LOG_LEVEL": "CRITICAL", "RAY_BACKEND_LOG_LEVEL": "fatal"}
# Ray itself tries for minutes.
CONNECT_TIMEOUT_S = 5.0
# A socket's path has at most 107 characters, and Ray puts 65 of its own behind this folder's name.
_LONGEST_TMP = 20


@contextmanager
def open_ray(*, cpus: int) -> Iterator[Any]:
    """Yield the module `ray`, connected.

    Args:
        cpus: What a cluster that is started here gives to workers; one that is joined has its own.

    Raises:
        ConfigError: `RAY_ADDRESS` is one of Ray's client protocol, which Ray Data does not speak.
        EngineError: There is no cluster at `RAY_ADDRESS`, or none can be started.
    """
    address = os.environ.get("RAY_ADDRESS", "")
    if address.startswith("ray://"):
        raise ConfigError(
            f"RAY_ADDRESS {address}: Ray Data needs a node of the cluster and no client",
            hint="run mlgate on a node of the cluster, with RAY_ADDRESS=host:6379",
        )
    own = address in {"", "local"}
    with _environment(_SILENT), _started(cpus) if own else _joined(address) as found:
        yield found


@contextmanager
def _joined(address: str) -> Iterator[Any]:
    _check_port(address)
    import ray  # noqa: PLC0415 - an extra, and two seconds

    ours = not ray.is_initialized()
    if ours:
        with _own_signals():
            _init(lambda: ray.init(address=address, **_QUIET), f"no Ray cluster at {address}", "is RAY_ADDRESS right?")
    try:
        yield ray
    finally:
        if ours:
            ray.shutdown()


def _check_port(address: str) -> None:
    host, _, port = address.rpartition(":")
    if not port.isdecimal():
        return  # `auto`, or what Ray knows and we do not
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_TIMEOUT_S).close()
    except (OSError, OverflowError) as error:
        raise EngineError(f"no Ray cluster at {address}: {error}", hint="is RAY_ADDRESS right?") from error


@contextmanager
def _started(cpus: int) -> Iterator[Any]:
    mark = secrets.token_hex(8)
    place = tempfile.gettempdir()
    home = Path(tempfile.mkdtemp(prefix=TMP_PREFIX, dir=place if len(place) <= _LONGEST_TMP else "/tmp"))  # noqa: S108 - as above
    with guard(mark, home), _environment(_settings(mark)):
        import ray  # noqa: PLC0415 - as above

        with _own_signals():
            start = partial(
                ray.init,
                address="local",  # without it, Ray joins whatever cluster this machine has
                num_cpus=cpus,
                num_gpus=0,
                include_dashboard=False,
                object_store_memory=OBJECT_STORE_BYTES,
                _temp_dir=str(home),
                **_QUIET,
            )
            _init(start, "Ray can not be started", f"is there room in {home.parent}?", again=partial(_end, ray, mark))
        try:
            yield ray
        finally:
            ray.shutdown()


def _settings(mark: str) -> dict[str, str]:
    return {
        MARK: mark,
        "RAY_USAGE_STATS_ENABLED": "0",
        # Without these two, its ports are open to the network, and whoever reaches them runs code here.
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_AUTH_MODE": "token",
        # Without it, Ray writes one into the home directory, and leaves it there.
        "RAY_AUTH_TOKEN": _TOKEN,
        # A fixed port would be taken by a second run.
        "AUTOSCALER_METRIC_PORT": "0",
        # Under `uv run`, workers would be given an environment of their own.
        "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
        # It names the cluster of an earlier one.
        "RAY_ADDRESS": "",
    }


def _init(start: Callable[[], object], what: str, hint: str, *, again: Callable[[], object] | None = None) -> None:
    """Start or join; where *again* cleans up after a failure, a second time, as Ray waits 30 s and no longer for its own processes."""
    try:
        with _no_stderr():
            start()
    except Exception as error:  # Ray raises that class itself
        if again is not None:
            again()
            _init(start, what, hint)
            return
        first = str(error).strip().partition("\n")[0]
        raise EngineError(f"{what}: {first}", hint=hint) from error


def _end(ray: Any, mark: str) -> None:
    ray.shutdown()
    end_all(mark)


@contextmanager
def _no_stderr() -> Iterator[None]:
    """Keep from the terminal what Ray's C++ writes there itself: for one, that its log level was set."""
    sys.stderr.flush()
    kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)


@contextmanager
def _own_signals() -> Iterator[None]:
    """Keep this process's answer to SIGTERM: Ray puts its own in its place."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGTERM) is not before:
            signal.signal(signal.SIGTERM, before)


@contextmanager
def _environment(settings: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
