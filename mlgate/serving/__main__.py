"""Load one model, warm it up, listen. `python -m mlgate_serving --model /model --uds /run/mlgate/server.sock`."""

from .boot import Boot

# First of all, so that "interpreter" is the interpreter's share and not that of the imports below.
BOOT = Boot()
BOOT.done("interpreter")

import argparse  # noqa: E402
import os  # noqa: E402
import sys  # noqa: E402
import traceback  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

EXIT_LOAD_FAILED = 3
EXIT_NOT_SERVABLE = 4
EXAMPLE = "serving_input_example.json"
# Two: the first fills caches of MLflow, pandas and the model; the second shows that they hold.
WARM_UPS = 2


def main() -> int:
    """Serve until told to stop; the exit status says why not."""
    parser = argparse.ArgumentParser(prog="mlgate_serving")
    parser.add_argument("--model", required=True, help="model directory")
    parser.add_argument("--uds", help="unix socket to listen on")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: any free port; the boot line names it")
    parser.add_argument("--threads", type=int, default=1, help="predict threads")
    options = parser.parse_args()
    try:
        import uvicorn  # noqa: PLC0415
        from mlflow import pyfunc  # noqa: PLC0415
        from mlflow.pyfunc import scoring_server  # noqa: PLC0415
        from mlflow.version import VERSION  # noqa: PLC0415

        from .app import wrap  # noqa: PLC0415
    except ImportError:
        return _say("the server can not be imported", EXIT_NOT_SERVABLE)
    BOOT.done("imports")
    try:
        model = pyfunc.load_model(options.model)
    except BaseException:  # noqa: BLE001  (a model may raise SystemExit while it loads)
        return _say("the model can not be loaded", EXIT_LOAD_FAILED)
    BOOT.done("load")
    try:
        mlflow_app: Any = scoring_server.init(model)
        app = wrap(mlflow_app, boot=BOOT.to_json, threads=options.threads)
    except Exception:  # noqa: BLE001  (whatever it is, it is said on stderr)
        return _say("the model can not be served", EXIT_NOT_SERVABLE)
    BOOT.facts |= {"mlflow": VERSION, "app": type(mlflow_app).__name__}

    path = Path(options.model) / EXAMPLE
    example = path.read_bytes() if path.is_file() else None

    class Server(uvicorn.Server):
        """Warms up in the loop that serves, before anybody can connect."""

        async def startup(self, sockets: Any = None) -> None:
            await _warm_up(app, example)
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
        lifespan="auto" if hasattr(mlflow_app, "router") else "off",
    )
    Server(config).run()
    return 0


async def _warm_up(app: Any, example: bytes | None) -> None:
    from .app import call  # noqa: PLC0415  (imported by then; at the top it would count as "interpreter")

    app.bound_threads()
    try:
        for _ in range(WARM_UPS if example is not None else 0):
            status, answer = await call(app.inner, "/invocations", example or b"")
            BOOT.warm_up["requests"] += 1
            if status != 200:
                BOOT.warm_up["error"] = f"{status}: {answer[:300].decode(errors='replace')}"
                break
    except Exception as error:  # noqa: BLE001  (a warm-up that raises is the schema suite's to report)
        BOOT.warm_up["error"] = f"{type(error).__name__}: {error}"[:300]
    BOOT.done("warm_up")


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
