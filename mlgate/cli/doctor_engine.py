"""What `mlgate doctor` finds out of the container engine, by using it as a gate run does."""

import platform
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlgate.errors import MlgateError
from mlgate.quantities import format_size

if TYPE_CHECKING:
    from mlgate.sandbox.engine import Engine
    from mlgate.sandbox.isolation import Isolation
    from mlgate.sandbox.session import SessionTag

Found = tuple[bool, str]
# What only a container can tell.
_USED = ("isolation", "published ports", "model files")
_NO_BASE = "not looked at: there is no base image to look with"


@dataclass(slots=True, kw_only=True)
class Examined:
    """The lines, and the same for machines."""

    found: dict[str, Found] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)


def examine(place: Path) -> Examined:
    """Return what is to be said of the engine; nothing of what it starts is left.

    Args:
        place: An existing folder of this machine, in or above which models are kept.
    """
    from mlgate.cli.guard import guarded
    from mlgate.sandbox.engine import connect

    told = Examined()
    try:
        engine = connect()
    except MlgateError as error:
        told.found["engine"] = (False, str(error))
        told.found |= dict.fromkeys(("base image", *_USED), (False, "not looked at: no engine answers"))
        return told
    try:
        _describe(told, engine)
        image = _base_image(told, engine)
        if image is not None:
            with guarded(engine) as session:
                _use(told, engine, image, session, place)
        else:
            told.found |= dict.fromkeys(_USED, (False, _NO_BASE))
    except MlgateError as error:
        told.found |= {name: (False, str(error)) for name in ("engine", *_USED) if name not in told.found}
    finally:
        engine.close()
    return told


def _describe(told: Examined, engine: "Engine") -> None:
    facts, address = engine.facts, engine.address
    tls = "" if address.tls == "none" else f", TLS {address.tls}"
    told.found["engine"] = (True, f"{facts.name} {facts.version} at {address.shown} ({address.source}{tls})")
    claimed = [name for name, holds in (facts.limits or {}).items() if holds]
    size = f"{facts.cpus} cpus, {format_size(facts.memory)}, {facts.platform}, {facts.system}"
    kernel = f"{facts.storage_driver}, cgroup v{facts.cgroup_version} (limits: {', '.join(claimed) or 'none'})"
    told.found["engine's machine"] = (True, f"{size}, {kernel}")
    security = ", ".join(facts.security) or "no security options"
    runtimes = ", ".join(facts.runtimes) or "unknown"
    told.found["engine's features"] = (
        True,
        f"{security}; runtimes {runtimes} (default {facts.default_runtime or 'unknown'})",
    )
    told.details |= {**asdict(facts), "url": address.shown, "source": address.source, "tls": address.tls}


def _base_image(told: Examined, engine: "Engine") -> str | None:
    from mlgate.images.docker import find_base

    name = find_base(engine, ".".join(platform.python_version_tuple()[:2]))
    hint = "no base image for this python. Hint: docker pull python:3.11-slim, or make base-image"
    told.found["base image"] = (name is not None, name or hint)
    return name


def _use(told: Examined, engine: "Engine", image: str, session: "SessionTag", place: Path) -> None:
    for name, look in (
        ("isolation", _isolation),
        ("published ports", _ports),
        ("model files", _files),
        ("engine's clock", _clock),
    ):
        try:
            words = look(told, engine, image, session, place)
        except MlgateError as error:
            words = (False, str(error))
        if words is not None:
            told.found[name] = words


def _isolation(told: Examined, engine: "Engine", image: str, session: "SessionTag", _: Path) -> Found:
    from mlgate.sandbox import isolation

    held = isolation.look(engine, image, session)
    told.details["isolation"] = asdict(held)
    return not held.missing, isolation_words(held)


def _ports(told: Examined, engine: "Engine", image: str, session: "SessionTag", _: Path) -> Found:
    from mlgate.sandbox.front import Front

    front = Front(engine, image, session, python="python3")
    try:
        front.start()
    finally:
        front.stop()
    (way,) = engine.ways
    told.details["published_ports"] = {"host": way.host, "guarded": way.guarded}
    how = "all interfaces with a token, through a relay of ours" if way.guarded else "loopback only"
    return True, f"reached at {way.host} ({how})"


def _files(told: Examined, engine: "Engine", image: str, session: "SessionTag", place: Path) -> Found:
    from mlgate.sandbox.shared_files import sees

    shared = sees(engine, image, place / "models", session)
    told.details["model_files"] = "bind" if shared else "volume"
    if shared:
        return True, f"the engine sees {place}: bind mount"
    return True, f"the engine does not see {place}: a volume for each model"


def _clock(told: Examined, engine: "Engine", _image: str, _session: "SessionTag", _: Path) -> Found | None:
    clock = engine.clock
    told.details["clock_offset_s"] = round(clock.seconds, 4)
    if engine.on_this_kernel:
        return None
    return True, f"{clock.seconds:+.3f} s from this machine's (± {clock.uncertainty_s:.3f} s); times are corrected"


def isolation_words(held: "Isolation") -> str:
    """Return one line of what a server's container gets, and what it lacks."""
    here = [f"user {held.user}", f"profile {held.label}" if held.label else "no AppArmor or SELinux profile"]
    here.append("user namespace" if held.user_namespace else "no user namespace")
    if held.missing:
        return f"NOT in force: {', '.join(held.missing)}; {', '.join(here)}"
    limits = (
        "limits of memory, processes and cpu, seccomp, no new privileges, no capabilities, read-only root, no network"
    )
    return f"in force: {limits}; {', '.join(here)}"
