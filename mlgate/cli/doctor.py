"""`mlgate doctor`: what is here, and what would not work."""

import os
import platform
import shutil
from collections.abc import Callable
from pathlib import Path

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
        "engine": _engine,
        "base image": _base_image,
        "registry": _registry,
        "disk": _disk,
        "settings": _settings,
    }
    found = {name: _guarded(check) for name, check in checks.items()}
    healthy = all(ok for ok, _ in found.values())
    if output is Output.JSON:
        emit_json({name: {"ok": ok, "found": text} for name, (ok, text) in found.items()})
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


def _engine() -> Found:
    from mlgate.sandbox.engine import connect

    engine = connect()
    facts = engine.facts
    engine.close()
    memory = format_size(facts.memory)
    return True, f"{facts.name} {facts.version}, cgroup v{facts.cgroup_version}, {facts.cpus} cpus, {memory}"


def _base_image() -> Found:
    from mlgate.images.docker import find_base
    from mlgate.sandbox.engine import connect

    engine = connect()
    name = find_base(engine, ".".join(platform.python_version_tuple()[:2]))
    engine.close()
    if name is None:
        return False, "no base image for this python. Hint: docker pull python:3.11-slim, or make base-image"
    return True, name


def _registry() -> Found:
    from mlgate.cli.admission import open_registry

    registry = open_registry()
    words = ", ".join(f"{name}: {text}" for name, text in registry.capabilities().items())
    return True, f"{registry.uri} ({words})"


def _disk() -> Found:
    from mlgate.artifacts.cache import default_cache

    place = default_cache()
    there = next(folder for folder in (place, *place.parents) if folder.exists())
    free = shutil.disk_usage(there).free
    return free > _ROOM, f"{format_size(free)} free at {place}, {format_size(_ROOM)} needed for a build"


def _settings() -> Found:
    names = ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "DOCKER_HOST", "MLGATE_CACHE", "SSL_CERT_FILE")
    from mlgate.registry.urls import without_credentials

    set_ = [f"{name}={without_credentials(os.environ[name])}" for name in names if name in os.environ]
    policy = next((str(folder / "mlgate.yaml") for folder in (Path.cwd(), *Path.cwd().parents) if (folder / "mlgate.yaml").is_file()), None)  # fmt: skip
    return True, ", ".join([*set_, f"policy {policy or 'built in'}"])
