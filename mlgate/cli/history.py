"""`mlgate history`: every move of a registered model's aliases, and those that mlgate did not make."""

from typing import TYPE_CHECKING, Annotated

import typer

from mlgate.cli.admission import open_registry
from mlgate.cli.console import Output, OutputOption, coloured, emit_json, result, table
from mlgate.errors import one_line

if TYPE_CHECKING:
    from mlgate.promotion.journal import Entry

NAME = "history"
HELP = "Show every move of a model's aliases, and what the journal does not explain. Example: mlgate history churn"


def command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Registered model")],
    alias: Annotated[str | None, typer.Option("--alias", metavar="ALIAS", help="Only this one")] = None,
    output: OutputOption = Output.TEXT,
) -> int:
    """Print the moves, oldest first, and every anomaly where it happened: exit 0, also with anomalies."""
    from mlgate.promotion.journal import read_journal

    registry = open_registry()
    aliases = registry.aliases(name)
    journal = read_journal(name, registry.events(name))
    entries = [entry for entry in journal.done if alias in (None, entry.event.alias)]
    found = [anomaly for anomaly in journal.anomalies(aliases) if alias is None or anomaly.alias in (None, alias)]
    if output is Output.JSON:
        emit_json(
            {
                "model": name,
                "aliases": dict(aliases),
                "events": [{"key": entry.key, **entry.event.to_json()} for entry in entries],
                "anomalies": [
                    {"code": one.code, "message": one.message, "alias": one.alias, "before": one.before}
                    for one in found
                ],
            }
        )
        return 0
    if entries:
        result(_table(entries, markdown=output is Output.MARKDOWN))
    else:
        result(f"mlgate has moved {'no alias' if alias is None else f'no {alias}'} of {name} yet.")
    for anomaly in found:
        result(f"{coloured('unexplained')}: {one_line(anomaly.message)}")
    return 0


def _table(entries: "list[Entry]", *, markdown: bool) -> str:
    header = ("at", "alias", "from", "to", "what", "by", "evidence", "signer", "waived", "reason")
    rows = [
        (
            event.at,
            event.alias,
            event.before or "-",
            event.after,
            str(event.action),
            _by(event.by, event.ci.get("CI_JOB_ID")),
            event.evidence.removeprefix("sha256:")[:12] or "-",
            event.signer or "unsigned",
            str(len(event.waived)) if event.waived else "-",
            event.reason or "-",
        )
        for event in (entry.event for entry in entries)
    ]
    return table(header, rows, markdown=markdown)


def _by(who: str, job: str | None) -> str:
    return f"{who}, job {job}" if job else who
