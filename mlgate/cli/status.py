"""`mlgate status`: which version is where, since when and by whom, and what is known of its bytes today."""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlgate.cli.admission import digest_now, listed_signers, open_registry, vouched
from mlgate.cli.console import Output, OutputOption, PolicyOption, coloured, emit_json, result, table
from mlgate.errors import one_line

if TYPE_CHECKING:
    from mlgate.evidence import Evidence
    from mlgate.policy import Policy
    from mlgate.promotion.journal import Event, Journal
    from mlgate.registry.interface import ModelRegistry

NAME = "status"
HELP = "Show a model's aliases, their history and whether today's bytes are those that were tested. Example: mlgate status churn"
# A registry keeps a thousand versions, and a reader asks for the last few.
NEWEST = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """One alias.

    Attributes:
        alias: Its name.
        version: Where it points.
        since: When mlgate moved it there; `None` where it did not.
        by: Who asked for that.
        verdict: Of the newest evidence about today's bytes.
        evidence: Who vouches for that evidence.
        age_s: How old it is, in seconds.
        bytes: `match`, `changed` since the promotion, `untested`, or `gone` where there are none any more.
    """

    alias: str
    version: str
    since: str | None
    by: str | None
    verdict: str
    evidence: str | None
    age_s: float | None
    bytes: str


def command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Registered model")],
    versions: Annotated[
        int, typer.Option("--versions", metavar="N", min=0, max=1000, help="How many versions to list, newest first")
    ] = NEWEST,
    policy: PolicyOption = None,
    output: OutputOption = Output.TEXT,
) -> int:
    """Print the aliases, the newest versions, and what the journal does not explain."""
    from mlgate.policy_file import load_policy
    from mlgate.promotion.journal import read_journal

    judge = load_policy(Path(policy) if policy else None)
    registry = open_registry()
    aliases = registry.aliases(name)
    journal = read_journal(name, registry.events(name))
    places = [_place(registry, judge, journal, alias, version) for alias, version in sorted(aliases.items())]
    rows = _versions(registry, name, dict(aliases), versions)
    anomalies = journal.anomalies(aliases)
    if output is Output.JSON:
        told = [{"code": one.code, "message": one.message, "alias": one.alias} for one in anomalies]
        emit_json({"model": name, "aliases": [asdict(place) for place in places], "versions": rows, "anomalies": told})
        return 0
    markdown = output is Output.MARKDOWN
    if places:
        result(_places_table(places, markdown=markdown))
        result("")
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
    result(table(header, cells, markdown=markdown))
    for anomaly in anomalies:
        result(f"{coloured('unexplained')}: {one_line(anomaly.message)}")
    result("Status is a tag, for display: mlgate gate reads the evidence itself.")
    return 0


def _place(registry: "ModelRegistry", policy: "Policy", journal: "Journal", alias: str, version: str) -> _Place:
    from mlgate.errors import ModelNotFound
    from mlgate.model_version import ModelUri

    last = journal.last(alias)
    event = last.event if last is not None and last.event.after == version else None
    try:
        digest = digest_now(registry, registry.resolve(ModelUri.parse(f"models:/{journal.name}/{version}")), policy)
    except ModelNotFound:  # of one alias, and the others are asked for as well
        digest = None
    verdict, provenance, age_s = "untested", None, None
    if digest is not None:
        verdict, provenance, age_s = _evidence(registry, policy, journal.name, version, digest)
    return _Place(
        alias=alias,
        version=version,
        since=event.at if event else None,
        by=event.by if event else None,
        verdict=verdict,
        evidence=provenance,
        age_s=age_s,
        bytes=_bytes(event, digest, tested=provenance is not None),
    )


def _bytes(event: "Event | None", digest: str | None, *, tested: bool) -> str:
    if digest is None:
        return "gone"
    if event is not None and event.artifact_digest != digest:
        return "changed"
    return "match" if tested else "untested"


def _evidence(
    registry: "ModelRegistry", policy: "Policy", name: str, version: str, digest: str
) -> tuple[str, str | None, float | None]:
    """Return verdict, provenance and age of the newest evidence about these bytes."""
    from mlgate.errors import EvidenceError
    from mlgate.gate import read_evidence
    from mlgate.verdict import Reason, parse_time

    signers = listed_signers(policy)
    for stored in registry.evidence(name, artifact_digest=digest, limit=NEWEST):
        try:
            evidence: Evidence = read_evidence(stored)
            age_s = (datetime.now(UTC) - parse_time(evidence.finished_at)).total_seconds()
        except (EvidenceError, ValueError, OverflowError):
            continue
        if (evidence.subject.version, evidence.subject.artifact_digest) != (version, digest):
            continue
        found = vouched(stored.envelope, evidence, signers)
        if not isinstance(found, Reason):
            return evidence.verdict.outcome, f"signed by {found.name}", age_s
        said = found.message if found.code == "unsigned" else f"unsigned ({found.code})"
        return evidence.verdict.outcome, said, age_s
    return "untested", None, None


def _places_table(places: list[_Place], *, markdown: bool) -> str:
    from mlgate.quantities import format_duration

    header = ("alias", "version", "since", "by", "verdict", "evidence", "age", "bytes today")
    rows = [
        (
            place.alias,
            place.version,
            place.since or "not moved by mlgate",
            place.by or "-",
            place.verdict,
            place.evidence or "-",
            "-" if place.age_s is None else format_duration(max(1.0, place.age_s)),
            place.bytes,
        )
        for place in places
    ]
    return table(header, rows, markdown=markdown)


def _versions(registry: "ModelRegistry", name: str, aliases: dict[str, str], limit: int) -> list[dict[str, Any]]:
    from mlgate.registry import tags

    return [
        {
            "version": number,
            "aliases": sorted(alias for alias, version in aliases.items() if version == number),
            "status": found.get(tags.STATUS, "untested"),
            "tested_at": found.get(tags.TESTED_AT),
            "champion": found.get(tags.CHAMPION),
            "report": found.get(tags.REPORT),
            "waived": found.get(tags.WAIVED),
        }
        for number, found in (registry.newest(name, limit) if limit else ())
    ]
