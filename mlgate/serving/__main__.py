"""Load one model, warm it up, listen. `python -m mlgate_serving --model /model --uds /run/mlgate/server.sock`."""

from .boot import Boot

# First of all, so that "interpreter" is the interpreter's share and not that of the imports below.
BOOT = Boot()
BOOT.done("interpreter")

import argparse  # noqa: E402
import os  # noqa: E402
import signal  # noqa: E402
import sys  # noqa: E402
import traceback  # noqa: E402
from collections.abc import Callable  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

EXIT_LOAD_FAILED = 3
EXIT_NOT_SERVABLE = 4
EXIT_TERMINATED = 128 + signal.SIGTERM
# Within the 30 s that Kubernetes gives by default.
GRACE_S = 20
EXAMPLE = "serving_input_example.json"
# Two: the first fills caches of MLflow, pandas and the model; the second shows that they hold.
WARM_UPS = 2


def main() -> int:
    """Serve until told to stop; the exit status says why not."""
    # The kernel drops a SIGTERM that process 1 of a container does not handle: a stop during the load would take the
    # whole grace period. uvicorn takes over while it serves and raises the signal again once all answers are out; at
    # that point a predict thread that hangs must not keep the process.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(EXIT_TERMINATED))
    parser = argparse.ArgumentParser(prog="mlgate_serving")
    parser.add_argument("--model", required=True, help="model directory")
    parser.add_argument("--uds", help="unix socket to listen on")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: any free port; the boot line names it")
    parser.add_argument("--threads", type=int, default=1, help="predict threads")
    parser.add_argument("--server", choices=("mlflow", "mlserver"), default="mlflow", help="whose scoring app answers")
    options = parser.parse_args()
    BOOT.begin()
    try:
        import uvicorn  # noqa: PLC0415
        from mlflow import pyfunc  # noqa: PLC0415
        from mlflow.pyfunc import scoring_server  # noqa: PLC0415
        from mlflow.version import VERSION  # noqa: PLC0415

        from .app import INVOCATIONS, wrap  # noqa: PLC0415

        mlserver: Any = None
        if options.server == "mlserver":
            from . import mlserver  # noqa: PLC0415  (installed where it is asked for)
    except ImportError:
        return _say("the server can not be imported", EXIT_NOT_SERVABLE)
    BOOT.done("imports")
    try:
        model = (mlserver or pyfunc).load_model(options.model)
    except BaseException:  # noqa: BLE001  (a model may raise SystemExit while it loads)
        return _say("the model can not be loaded", EXIT_LOAD_FAILED)
    BOOT.done("load")
    try:
        inner: Any = (mlserver or scoring_server).init(model)
        path = mlserver.PATH if mlserver else INVOCATIONS
        app = wrap(inner, boot=BOOT.to_json, threads=options.threads, path=path)
    except Exception:  # noqa: BLE001  (whatever it is, it is said on stderr)
        return _say("the model can not be served", EXIT_NOT_SERVABLE)
    BOOT.facts |= {"model_bytes": _size(options.model), "mlflow": VERSION, "app": type(inner).__name__}

    logged = Path(options.model) / EXAMPLE
    example = logged.read_bytes() if logged.is_file() else None

    def warm_up_request() -> bytes | None:
        return example if example is None or not mlserver else mlserver.example_request(model, example)

    class Server(uvicorn.Server):
        """Warms up in the loop that serves, before anybody can connect."""

        async def startup(self, sockets: Any = None) -> None:
            await _warm_up(app, warm_up_request)
            BOOT.end()
            await super().startup(sockets=sockets)
            if self.started:
                for listener in self.servers:
                    BOOT.facts["listening"] = [_address(sock) for sock in listener.sockets]
                BOOT.done("ready")
                BOOT.emit()

    config = uvicorn.Config(
        app,
        uds=options.uds,
        host=options.host,
        port=options.port,
        access_log=False,
        log_level="warning",
        # uvicorn's 5 s closes connections under a client that reuses them, which looks like an error of the model.
        timeout_keep_alive=75,
        timeout_graceful_shutdown=GRACE_S,
        lifespan="auto" if hasattr(inner, "router") else "off",
    )
    Server(config).run()
    return 0


async def _warm_up(app: Any, request: Callable[[], bytes | None]) -> None:
    from .app import call  # noqa: PLC0415  (imported by then; at the top it would count as "interpreter")

    app.bound_threads()
    try:
        body = request()
        for _ in range(WARM_UPS if body is not None else 0):
            status, answer = await call(app.inner, app.path, body or b"")
            BOOT.warm_up["requests"] += 1
            if status != 200:
                BOOT.warm_up["error"] = f"{status}: {answer[:300].decode(errors='replace')}"
                break
    except Exception as error:  # noqa: BLE001  (a warm-up that raises is the schema suite's to report)
        BOOT.warm_up["error"] = f"{type(error).__name__}: {error}"[:300]
    BOOT.done("warm_up")


def _size(folder: str) -> int:
    sizes = (os.lstat(f"{parent}/{name}").st_size for parent, _, names in os.walk(folder) for name in names)
    return sum(sizes)


def _address(sock: Any) -> Any:
    name = sock.getsockname()
    return list(name[:2]) if isinstance(name, tuple) else name


def _say(what: str, code: int) -> int:
    kind, error = sys.exc_info()[:2]
    lines = traceback.format_exc().splitlines()
    name = kind.__name__ if kind else ""
    sys.stderr.write("\n".join(lines[-30:]) + f"\nmlgate: {what}: {name}: {' '.join(str(error).split())}\n")
    sys.stderr.flush()
    return code


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    # A model may have left threads behind that would keep a failed server from exiting.
    os._exit(status)
