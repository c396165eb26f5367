"""`mlgate doctor`: what is here, and what would not work."""

import os
import platform
import shutil
from collections.abc import Callable
from pathlib import Path

from mlgate.cli import doctor_engine
from mlgate.cli.console import Output, OutputOption, coloured, emit_json, result, table
from mlgate.errors import MlgateError
from mlgate.quantities import format_size

NAME = "doctor"
HELP = "Check python, engine, base image, registry and disk."

# An environment image with MLflow and scikit-learn takes about 1.3 GB; below this a build is likely to fail.
_ROOM = 5 * 10**9
Found = tuple[bool, str]


def command(output: OutputOption = Output.TEXT) -> int:
    """Print one line a thing; exit 3 where something that a gate run needs is missing."""
    checks: dict[str, Callable[[], Found]] = {
        "python": _python,
        "registry": _registry,
        "disk": _disk,
        "settings": _settings,
    }
    engine = doctor_engine.examine(_place())
    found = {name: _guarded(check) for name, check in checks.items()}
    found = {"python": found.pop("python"), **engine.found, **found}
    healthy = all(ok for ok, _ in found.values())
    if output is Output.JSON:
        details = {"engine": engine.details} if engine.details else {}
        rest = {name: {"details": details[name]} if name in details else {} for name in found}
        emit_json({name: {"ok": ok, "found": text, **rest[name]} for name, (ok, text) in found.items()})
    else:
        rows = [(coloured("ok" if ok else "failed"), name, text) for name, (ok, text) in found.items()]
        result(table(("", "what", "found"), rows, markdown=output is Output.MARKDOWN))
    return 0 if healthy else 3


def _guarded(check: Callable[[], Found]) -> Found:
    try:
        return check()
    except MlgateError as error:
        return False, str(error)


def _python() -> Found:
    return True, f"{platform.python_version()} on {platform.system()} {platform.machine()}"


def _registry() -> Found:
    from mlgate.cli.admission import open_registry

    registry = open_registry()
    words = ", ".join(f"{name}: {text}" for name, text in registry.capabilities().items())
    return True, f"{registry.uri} ({words})"


def _place() -> Path:
    """Return the folder that exists and is nearest to where models are kept."""
    from mlgate.artifacts.cache import default_cache

    place = default_cache()
    return next(folder for folder in (place, *place.parents) if folder.exists())


def _disk() -> Found:
    place = _place()
    free = shutil.disk_usage(place).free
    return free > _ROOM, f"{format_size(free)} free at {place}, {format_size(_ROOM)} needed for a build"


def _settings() -> Found:
    names = ["MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "MLGATE_CACHE", "SSL_CERT_FILE"]
    names += ["DOCKER_HOST", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH", "TESTCONTAINERS_HOST_OVERRIDE"]
    from mlgate.registry.urls import without_credentials

    set_ = [f"{name}={without_credentials(os.environ[name])}" for name in names if name in os.environ]
    policy = next((str(folder / "mlgate.yaml") for folder in (Path.cwd(), *Path.cwd().parents) if (folder / "mlgate.yaml").is_file()), None)  # fmt: skip
    return True, ", ".join([*set_, f"policy {policy or 'built in'}"])
