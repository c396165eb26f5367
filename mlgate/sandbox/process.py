"""A model server as a plain process of this host: for a laptop without an engine. Limited, not isolated."""

import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from mlgate.errors import EngineError, FailureKind
from mlgate.evidence import ImageFacts, SandboxFacts
from mlgate.images.facts import BuiltImage
from mlgate.images.recipe import serving_command
from mlgate.sandbox import page_cache, process_tree, supervisor
from mlgate.sandbox.interface import BootTimes, EnvironmentImage, MemoryUse, ServerFailure, ServerLimits, Usage
from mlgate.sandbox.readiness import (
    LOG_BYTES,
    LOG_LINES,
    POLL_S,
    Look,
    boot_line,
    boot_times,
    failure_of,
    look,
    never_ready,
    not_started,
    server_environment,
)
from mlgate.scoring.protocols import Invocations, ServingProtocol

STOP_TIMEOUT_S = 10.0
# It prints its threads' stacks and dies.
STACKS_TIMEOUT_S = 3.0
_TAIL_BYTES = 1 << 18


class ProcessServer:
    """A `ModelServer` without an engine; see the Protocol for what its methods promise.

    It has the user's rights, the host's network and every core: `limits.cpus` decides the predict threads only. Its
    memory is bounded by `RLIMIT_DATA` (what a process allocates), not by `RLIMIT_AS`, which counts the address space
    that numerical libraries and threads reserve and never touch; a process over it gets a `MemoryError`, not a kill.

    Args:
        environment: What `mlgate.images.environment.EnvironmentBuilder` built.
        model_path: Model directory.
        limits: What the server may use.
        tmp_dir: Where its temporary directory is made; default: the system's.
        protocol: How the model is asked for predictions; default: MLflow's.
    """

    def __init__(
        self,
        environment: BuiltImage,
        model_path: Path,
        limits: ServerLimits,
        *,
        tmp_dir: Path | None = None,
        protocol: ServingProtocol | None = None,
    ) -> None:
        self.protocol: ServingProtocol = protocol or Invocations()
        self._environment = environment
        self._model = model_path.resolve()
        self._limits = limits
        self._parent_dir = tmp_dir
        self._home: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0
        self._own_cores = process_tree.own_cores()
        self._cores: frozenset[int] | None = None

    @property
    def image(self) -> ImageFacts:
        """What it runs in."""
        return self._environment.facts(threads=self._limits.threads)

    @property
    def environment_image(self) -> EnvironmentImage:
        """Whether it was found or built."""
        return EnvironmentImage(hit=self._environment.hit, seconds=self._environment.seconds)

    @property
    def sandbox(self) -> SandboxFacts:
        """How it is contained: hardly."""
        return SandboxFacts(
            kind="process",
            engine="",
            cpus=self._limits.cpus,
            memory=self._limits.memory,
            network="host",
            host=f"{platform.system().lower()}/{platform.machine()}, {os.cpu_count()} CPUs, kernel {platform.release()}",
        )

    @property
    def url(self) -> str:
        """Base URL of its loopback port."""
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> BootTimes:
        """Start and block until ready."""
        if self._process is not None:
            self.stop()
        self._home = Path(tempfile.mkdtemp(prefix="mlgate-server-", dir=self._parent_dir))
        started_at = time.time()
        try:
            with (self._home / "log").open("wb") as log, process_tree.starting_on(self._cores):
                self._process = subprocess.Popen(
                    self._command(self._home),
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    cwd=self._home / "tmp",
                    env={},
                    start_new_session=True,
                )
        except OSError as error:
            self.stop()
            raise EngineError(f"the server's process can not be started ({error.strerror})") from error
        return self._wait_until_ready(self._process, started_at)

    def stop(self) -> None:
        """Kill its group and remove its temporary directory."""
        process, self._process = self._process, None
        if process is not None:
            if process.stdin is not None:
                with suppress(OSError):
                    process.stdin.close()  # The supervisor kills the group.
            try:
                process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()  # Its death is the server's, by PR_SET_PDEATHSIG.
                process.wait()
        if self._home is not None:
            shutil.rmtree(self._home, ignore_errors=True)
            self._home = None

    def restart(self) -> BootTimes:
        """Stop and start again; the port changes."""
        self.stop()
        return self.start()

    def failure(self) -> ServerFailure | None:
        """Return why it died."""
        if self._process is None:
            return ServerFailure(kind=FailureKind.GONE, message="the server was never started, or is stopped", log="")
        code = self._process.poll()
        return None if code is None else failure_of(code=code, oom=False, log=self.log())

    def limits_met(self, said: str = "") -> tuple[str, ...]:
        """Return which limits *said* tells of: there is no counter here, and the network is the host's."""
        del said  # Neither the memory's MemoryError nor the host's own limits are worth more words than it has itself.
        return ()

    def stacks(self) -> str:
        """Have Python print every thread's stack, which ends it."""
        child = self._child()
        if self._process is not None and child is not None:
            with suppress(OSError):
                os.kill(child, signal.SIGABRT)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(STACKS_TIMEOUT_S)
        return self.log()

    def log(self, lines: int = LOG_LINES) -> str:
        """Return the last lines of its output; 64 KiB at most."""
        return "\n".join(self._log_text().splitlines()[-lines:])[-LOG_BYTES:]

    def another(self) -> Self:
        """Return a second server, not started."""
        return type(self)(
            self._environment, self._model, self._limits, tmp_dir=self._parent_dir, protocol=self.protocol
        )

    def memory(self) -> MemoryUse | None:
        """Return what the server's process itself ever held; its children are not in it."""
        status = self._status()
        peak = _kib(status, "VmHWM")
        if peak is None:
            return None
        kinds = {"anon": "RssAnon", "file": "RssFile", "shmem": "RssShmem"}
        now = {kind: size for kind, name in kinds.items() if (size := _kib(status, name)) is not None}
        return MemoryUse(peak=peak, now=now, counted="the server's process alone, with the files it maps (VmHWM)")

    def usage(self) -> Usage | None:
        """Add up what the server's process and its descendants use; nobody counts what the host made them wait."""
        child = self._child()
        return process_tree.usage(process_tree.tree(child)) if child is not None else None

    def pin(self, cores: Collection[int] | None) -> bool:
        """Let every thread of it run on *cores* only; `None`: on those that it was started with."""
        wanted = self._own_cores if cores is None else frozenset(cores)
        child = self._child()
        if not wanted or not wanted <= self._own_cores:
            return False
        if child is not None and not process_tree.run_on(child, wanted):
            process_tree.run_on(child, self._cores or self._own_cores)
            return False
        self._cores = None if cores is None else wanted
        return True

    def processes(self) -> Mapping[int, str]:
        """Return the server's process and its descendants; the supervisor is ours."""
        child = self._child()
        return process_tree.commands(process_tree.tree(child)) if child is not None else {}

    def forget_model_pages(self) -> bool:
        """Drop its files from the page cache."""
        return page_cache.forget(self._model)

    def peak_memory(self) -> int | None:
        """Return the most bytes that the server's process itself ever held (VmHWM); `None` where it can not be read."""
        found = self.memory()
        return None if found is None else found.peak

    def _status(self) -> str:
        child = self._child()
        try:
            return Path(f"/proc/{child}/status").read_text(encoding="utf-8", errors="replace") if child else ""
        except OSError:
            return ""

    def _child(self) -> int | None:
        """Return the server's own process, below its supervisor."""
        if self._process is None:
            return None
        try:
            pid = self._process.pid
            return int(Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()[0])
        except (OSError, IndexError, ValueError):
            return None

    def _command(self, home: Path) -> list[str]:
        temporary = home / "tmp"
        temporary.mkdir()
        binaries = Path(self._environment.reference) / "bin"
        environment = {
            "PATH": f"{binaries}:/usr/local/bin:/usr/bin:/bin",
            **server_environment(self._limits),
            "HOME": str(temporary),
            "TMPDIR": str(temporary),
        }
        serve = [str(binaries / "python"), *serving_command(self._environment.server), "--model", str(self._model)]
        spec: dict[str, Any] = {
            "command": [*serve, "--threads", str(self._limits.threads)],
            "env": environment,
            # The size of a file bounds its log as well. No RLIMIT_NPROC: that counts all processes of the user.
            "limits": {"RLIMIT_DATA": self._limits.memory, "RLIMIT_CORE": 0, "RLIMIT_FSIZE": self._limits.tmp_size},
        }
        source = Path(supervisor.__file__).read_text(encoding="utf-8")
        return [sys.executable, "-I", "-S", "-c", source, json.dumps(spec)]

    def _log_text(self) -> str:
        if self._home is None:
            return ""
        try:
            with (self._home / "log").open("rb") as log:
                size = log.seek(0, os.SEEK_END)
                log.seek(max(0, size - _TAIL_BYTES))
                return log.read().decode(errors="replace")
        except OSError:
            return ""

    def _wait_until_ready(self, process: "subprocess.Popen[bytes]", started_at: float) -> BootTimes:
        deadline = time.monotonic() + self._limits.ready_timeout_s
        seen = Look()
        while True:
            said = boot_line(self._log_text())
            if said is not None:
                self._port = _port(said)
                seen = look("127.0.0.1", self._port) if self._port else Look()
                if seen.said is not None:
                    return boot_times(seen.said, started_at=started_at, ready_at=time.time())
            code = process.poll()
            if code is not None:
                raise not_started(failure_of(code=code, oom=False, log=self.log()))
            if time.monotonic() > deadline:
                output = self._log_text()
                raise never_ready(self._limits, self.stacks(), seen=seen, output=output)
            time.sleep(POLL_S)


def _kib(status: str, name: str) -> int | None:
    """Return a size of `/proc/<pid>/status` in bytes."""
    match = re.search(rf"^{name}:\s+(\d+) kB$", status, re.MULTILINE)
    return int(match.group(1)) << 10 if match else None


def _port(said: Any) -> int:
    """Return the port that the boot line names; 0 for a line that is no boot line of ours."""
    try:
        port = int(said["listening"][0][1])
    except (KeyError, IndexError, TypeError, ValueError, OverflowError):
        return 0
    return port if 0 < port < 2**16 else 0
