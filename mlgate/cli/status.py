"""`mlgate status`: which version is where, and what was said of it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlgate.cli.admission import listed_signers, open_registry, vouched
from mlgate.cli.console import Output, OutputOption, PolicyOption, emit_json, result, table

if TYPE_CHECKING:
    from mlgate.registry.interface import ModelRegistry

NAME = "status"
HELP = "Show the versions of a registered model, their aliases and what was last said of them. Example: mlgate status churn"


def command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Registered model")],
    policy: PolicyOption = None,
    output: OutputOption = Output.TEXT,
) -> int:
    """Print one line a version, newest first."""
    rows = _versions(name, policy)
    if output is Output.JSON:
        emit_json({"model": name, "versions": rows})
        return 0
    header = ("version", "aliases", "status", "tested at", "champion then", "evidence")
    cells = [
        (
            row["version"],
            ", ".join(row["aliases"]) or "-",
            row["status"],
            row["tested_at"] or "-",
            row["champion"] or "-",
            row["evidence"] or "-",
        )
        for row in rows
    ]
    result(table(header, cells, markdown=output is Output.MARKDOWN))
    result("Status is a tag, for display: mlgate gate reads the evidence itself.")
    return 0


def _versions(name: str, policy: str | None) -> list[dict[str, Any]]:
    from mlgate.model_version import ModelUri
    from mlgate.registry import tags

    registry = open_registry()
    said = _provenance(registry, name, policy)
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
                "evidence": said.get(number),
            }
        )
    return rows


def _provenance(registry: "ModelRegistry", name: str, policy: str | None) -> dict[str, str]:
    """Return version to who signed its newest evidence: `signed by …`, or `unsigned` with why."""
    from mlgate.errors import EvidenceError
    from mlgate.gate import read_evidence
    from mlgate.policy_file import load_policy
    from mlgate.verdict import Reason

    signers = listed_signers(load_policy(Path(policy) if policy else None))
    said: dict[str, str] = {}
    for stored in registry.evidence(name):
        try:
            evidence = read_evidence(stored)
        except EvidenceError:
            continue
        version = evidence.subject.version
        if version is None or version in said:
            continue
        found = vouched(stored.envelope, evidence, signers)
        if not isinstance(found, Reason):
            said[version] = f"signed by {found.name}"
        else:
            said[version] = found.message if found.code == "unsigned" else f"unsigned ({found.code})"
    return said
