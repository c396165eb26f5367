"""`mlgate status`: which version is where, and what was said of it."""

from typing import Annotated, Any

import typer

from mlgate.cli.admission import open_registry
from mlgate.cli.console import Output, OutputOption, emit_json, result, table

NAME = "status"
HELP = "Show the versions of a registered model, their aliases and what was last said of them. Example: mlgate status churn"


def command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Registered model")], output: OutputOption = Output.TEXT
) -> int:
    """Print one line a version, newest first."""
    rows = _versions(name)
    if output is Output.JSON:
        emit_json({"model": name, "versions": rows})
        return 0
    header = ("version", "aliases", "status", "tested at", "champion then")
    cells = [
        (
            row["version"],
            ", ".join(row["aliases"]) or "-",
            row["status"],
            row["tested_at"] or "-",
            row["champion"] or "-",
        )
        for row in rows
    ]
    result(table(header, cells, markdown=output is Output.MARKDOWN))
    result("Status is a tag, for display: mlgate gate reads the evidence itself.")
    return 0


def _versions(name: str) -> list[dict[str, Any]]:
    from mlgate.model_version import ModelUri
    from mlgate.registry import tags

    registry = open_registry()
    aliases = registry.aliases(name)
    rows = []
    for number in registry.versions(name):
        found = registry.tags(registry.resolve(ModelUri.parse(f"models:/{name}/{number}")))
        rows.append(
            {
                "version": number,
                "aliases": sorted(alias for alias, version in aliases.items() if version == number),
                "status": found.get(tags.STATUS, "untested"),
                "tested_at": found.get(tags.TESTED_AT),
                "champion": found.get(tags.CHAMPION),
                "report": found.get(tags.REPORT),
            }
        )
    return rows
