"""A model server inside this process: MLflow's own scoring app, and ours around it, over a Python function.

The real server code without container and environment: what MLflow answers to a crash, a NaN or a wrong request is real.
"""

import asyncio
import os
import threading
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, Self

import uvicorn
from mlflow.models import Model, ModelSignature
from mlflow.pyfunc import PyFuncModel, scoring_server

from mlgate.errors import ServerError
from mlgate.evidence import ImageFacts, SandboxFacts
from mlgate.sandbox.interface import BootTimes, EnvironmentImage, MemoryUse, ServerFailure, Usage
from mlgate.scoring.protocols import Invocations
from mlgate.serving.app import wrap


class _Loaded:
    """What a loaded flavour looks like to PyFuncModel: an object with predict."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self.predict = function


def loaded_model(function: Callable[[Any], Any], signature: ModelSignature) -> PyFuncModel:
    """Return *function* as a loaded MLflow model with *signature*."""
    meta = Model(artifact_path="model", run_id="0" * 32, signature=signature)
    meta.add_flavor("python_function", loader_module="none", python_version="3.11.0")
    return PyFuncModel(model_meta=meta, model_impl=_Loaded(function))


def _status() -> dict[str, int]:
    lines = (line.split() for line in Path("/proc/self/status").read_text().splitlines())
    return {words[0].rstrip(":"): int(words[1]) << 10 for words in lines if words[-1] == "kB"}


class InProcessServer:
    """`ModelServer` on a loopback port of this process.

    Args:
        make: Returns the predict function; called at each start, so that a restart forgets.
        signature: MLflow's.
        app: Wraps the ASGI app, for servers that misbehave outside of predict.
        ready_s: What `start` reports: the sandbox's clock is no part of a check's logic.
    """

    def __init__(
        self,
        make: Callable[[], Callable[[Any], Any]],
        signature: ModelSignature,
        *,
        app: Callable[[Any], Any] = lambda inner: inner,
        ready_s: float = 1.0,
    ) -> None:
        self.protocol = Invocations()
        self._make, self._signature, self._app, self._ready_s = make, signature, app, ready_s
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self.starts = 0
        self.counts_memory = True
        self._held = 0

    @property
    def image(self) -> ImageFacts:
        return ImageFacts(
            recipe_digest="", image_digest="", base="", base_digest="", python="3.11", platform="linux/amd64", pins=(),
            apt=(), server="in-process", threads=1,
        )  # fmt: skip

    @property
    def environment_image(self) -> EnvironmentImage:
        return EnvironmentImage(hit=True, seconds={})

    @property
    def sandbox(self) -> SandboxFacts:
        return SandboxFacts(kind="process", engine="", cpus=1.0, memory=2**30, network="host", host="test")

    @property
    def url(self) -> str:
        assert self._server is not None
        port = self._server.servers[0].sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{port}"

    def start(self) -> BootTimes:
        self.starts += 1
        self._forget_peak()
        try:
            model = loaded_model(self._make(), self._signature)
        except Exception as error:
            raise ServerError(f"the model can not be loaded: {error}", kind="load_failed", log=str(error)) from error
        app = self._app(wrap(scoring_server.init(model), threads=2))
        config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="critical", lifespan="off", backlog=2048)
        server = uvicorn.Server(config)
        started = threading.Event()

        class Announced(uvicorn.Server):
            async def startup(self, sockets: Any = None) -> None:
                await super().startup(sockets=sockets)
                started.set()

        server = Announced(config)
        thread = threading.Thread(target=lambda: asyncio.run(server.serve()), daemon=True)
        thread.start()
        assert started.wait(30), "the in-process server did not start"
        self._server, self._thread = server, thread
        return BootTimes(ready_s=self._ready_s, phases={"imports": 0.5, "load": 0.8, "ready": self._ready_s})

    def stop(self) -> None:
        if self._server is None or self._thread is None:
            return
        self._server.should_exit = self._server.force_exit = True
        # A predict thread that hangs never ends; the thread is a daemon and goes with the process.
        self._thread.join(timeout=0.3)
        self._server = self._thread = None

    def restart(self) -> BootTimes:
        self.stop()
        return self.start()

    def failure(self) -> ServerFailure | None:
        return None

    def limits_met(self, said: str = "") -> tuple[str, ...]:
        return ()

    def stacks(self) -> str:
        return ""

    def memory(self) -> MemoryUse | None:
        """What this process grew by since the start: it holds more than the server."""
        if not self.counts_memory:
            return None
        status = _status()
        kinds = {"anon": status["RssAnon"], "file": status["RssFile"]}
        return MemoryUse(peak=max(0, status["VmHWM"] - self._held), now=kinds, counted="growth of the test's process")

    def usage(self) -> Usage | None:
        """What this process uses: the test's own work is in it."""
        if not self.counts_memory:
            return None
        memory = _status()["RssAnon"]
        return Usage(memory=memory, cpu_s=time.process_time(), throttled_s=0.0, processes=threading.active_count())

    def pin(self, cores: Collection[int] | None) -> bool:
        return False

    def processes(self) -> Mapping[int, str]:
        return {os.getpid(): "in-process"}

    def forget_model_pages(self) -> bool:
        return False

    def _forget_peak(self) -> None:
        # 5: VmHWM begins again at what is held now (man 5 proc).
        Path("/proc/self/clear_refs").write_text("5")
        self._held = _status()["VmRSS"]

    def log(self, lines: int = 50) -> str:
        return ""

    def another(self) -> Self:
        other = type(self)(self._make, self._signature, app=self._app, ready_s=self._ready_s)
        other.counts_memory = self.counts_memory
        return other
