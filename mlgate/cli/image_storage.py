"""`mlgate image list|prune`: what mlgate keeps on the engine."""

import sys
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlgate.cli.console import DryRunOption, Output, OutputOption, YesOption, emit_json, result, say, table
from mlgate.errors import ConfigError
from mlgate.quantities import format_duration, format_size, parse_duration

if TYPE_CHECKING:
    from mlgate.images.inventory import Inventory, PrunePlan, PruneRequest, StoredImage, StoredVolume

LIST_HELP = "List the images and caches that mlgate keeps on the engine, with sizes."
PRUNE_HELP = (
    "Remove environment images that were not used for a while. Example: mlgate image prune --older-than 7d --dry-run"
)
DEFAULT_UNUSED_FOR = "30d"


def list_command(output: OutputOption = Output.TEXT) -> int:
    """Print images, newest first, and caches."""
    from mlgate.images.storage import read_inventory
    from mlgate.sandbox.engine import connect

    with closing(connect()) as engine:
        inventory = read_inventory(engine)
    if output is Output.JSON:
        emit_json({"images": [_image_json(image) for image in inventory.images], "caches": [_volume_json(volume) for volume in inventory.volumes]})  # fmt: skip
        return 0
    result(_listing(inventory, datetime.now(UTC), markdown=output is Output.MARKDOWN))
    return 0


def _listing(inventory: "Inventory", now: datetime, *, markdown: bool) -> str:
    header = ("image", "kind", "model", "python", "pins", "created", "last used", "size", "of its own", "containers")
    rows = [
        (
            image.name,
            str(image.kind),
            f"{image.model} {image.version}".strip() or "-",
            image.python or "-",
            str(image.pins),
            f"{image.created:%Y-%m-%d %H:%M} UTC",
            f"{format_duration(max(1, round((now - image.used).total_seconds())))} ago",
            format_size(image.size),
            "-" if image.own is None else format_size(image.own),
            str(image.containers),
        )
        for image in inventory.images
    ]
    caches = [
        (volume.name, str(volume.kind), "-" if volume.size is None else format_size(volume.size), str(volume.users))
        for volume in inventory.volumes
    ]
    parts = [table(header, rows, markdown=markdown) if rows else "no images"]
    if caches:
        parts.append(table(("cache", "kind", "size", "containers"), caches, markdown=markdown))
    return "\n\n".join(parts)


def _image_json(image: "StoredImage") -> dict[str, Any]:
    shared = None if image.own is None else image.size - image.own
    left = {name: value for name, value in asdict(image).items() if name not in ("layers", "created", "used", "kind")}
    times = {"created": image.created.isoformat(), "last_used": image.used.isoformat()}
    return {**left, **times, "kind": str(image.kind), "shared": shared}


def _volume_json(volume: "StoredVolume") -> dict[str, Any]:
    created = volume.created.isoformat() if volume.created else None
    return {"name": volume.name, "kind": str(volume.kind), "created": created, "size": volume.size, "containers": volume.users}  # fmt: skip


def prune_command(
    older_than: Annotated[
        str | None,
        typer.Option("--older-than", metavar="DURATION", help=f"Not used for so long; default {DEFAULT_UNUSED_FOR}"),
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="However new, but for those in use")] = False,
    deployable: Annotated[bool, typer.Option("--deployable", help="Deployable images, too")] = False,
    caches: Annotated[bool, typer.Option("--caches", help="Downloaded packages and models, too")] = False,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    output: OutputOption = Output.TEXT,
) -> int:
    """Show, ask, remove."""
    from mlgate.images.inventory import plan_prune
    from mlgate.images.storage import read_inventory, remove, sweep_staging
    from mlgate.sandbox.engine import connect

    request = _request(older_than, everything=all_, deployable=deployable, caches=caches)
    with closing(connect()) as engine:
        if not dry_run:
            sweep_staging(engine)
        plan = plan_prune(read_inventory(engine), request, datetime.now(UTC))
        if plan.things and not dry_run:
            if not yes and sys.stdin.isatty():
                say(_pruned(plan, markdown=False))
                typer.confirm(f"remove these {len(plan.things)}?", abort=True, err=True)
            plan = plan.after(remove(engine, plan))
    if output is Output.JSON:
        removed = [{"name": thing.name, "kind": str(thing.kind)} for thing in plan.things]
        kept = [{"name": name, "reason": reason} for name, reason in plan.kept]
        emit_json({"dry_run": dry_run, "removed": removed, "kept": kept, "freed": plan.freed()})
        return 0
    result(_pruned(plan, markdown=output is Output.MARKDOWN))
    result(f"{'would free' if dry_run else 'freed'} {format_size(plan.freed())}")
    return 0


def _request(older_than: str | None, *, everything: bool, deployable: bool, caches: bool) -> "PruneRequest":
    from mlgate.images.inventory import PruneRequest as Request

    if older_than is not None and everything:
        raise ConfigError("--older-than and --all say two things", hint="give one of them")
    try:
        seconds = parse_duration(older_than or DEFAULT_UNUSED_FOR)
    except ValueError as error:
        raise ConfigError(f"--older-than {error}") from None
    unused_for = None if everything else timedelta(seconds=seconds)
    return Request(unused_for=unused_for, deployable=deployable, caches=caches)


def _pruned(plan: "PrunePlan", *, markdown: bool) -> str:
    rows = [("remove", thing.name, str(thing.kind)) for thing in plan.things]
    rows += [("keep", name, reason) for name, reason in plan.kept]
    return table(("", "what", "why"), rows, markdown=markdown) if rows else "nothing of mlgate's is on the engine"
