"""`mlgate report`: the newest evidence of a version, for a reader."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mlgate.cli.admission import open_registry
from mlgate.cli.console import Output, OutputOption, emit_json, result, say
from mlgate.errors import EvidenceError, OutputError

if TYPE_CHECKING:
    from mlgate.evidence import Evidence

NAME = "report"
HELP = "Print the gate report of a version's newest evidence. Example: mlgate report models:/churn/3 --html report.html"


def command(
    uri: Annotated[str, typer.Argument(metavar="URI", help="A model version, or an evidence.json")],
    html: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write the page there instead")] = None,
    output: OutputOption = Output.TEXT,
) -> int:
    """Render the newest evidence."""
    from mlgate.report.html import render_html
    from mlgate.report.markdown import render_markdown

    evidence = _evidence(uri)
    if html is not None:
        try:
            html.write_text(render_html(evidence), encoding="utf-8")
        except OSError as error:
            raise OutputError(f"{html}: can not be written ({error.strerror})") from error
        say(f"report: {html}")
    elif output is Output.JSON:
        emit_json(evidence.to_json())
    else:
        result(render_markdown(evidence))
    return 0


def _evidence(uri: str) -> "Evidence":
    from mlgate.evidence import Evidence as Document
    from mlgate.gate import read_evidence
    from mlgate.model_version import ModelUri

    if uri.endswith(".json"):
        try:
            return Document.from_bytes(Path(uri).read_bytes())
        except OSError as error:
            raise EvidenceError(f"{uri}: can not be read ({error.strerror})") from error
    registry = open_registry()
    version = registry.resolve(ModelUri.parse(uri))
    for stored in registry.evidence(version.name) if version.name else ():
        evidence = read_evidence(stored)
        if evidence.subject.version == version.version:
            return evidence
    raise EvidenceError(f"no evidence for {version.uri}", hint=f"pytest --mlgate {version.uri}")
