"""`mlgate report`: the newest evidence of a version, for a reader."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mlgate.cli.admission import listed_signers, newest_evidence, open_registry, stored_waivers, vouched, waiver_signers
from mlgate.cli.console import Output, OutputOption, PolicyOption, emit_json, result, say, write_whole
from mlgate.errors import EvidenceError

if TYPE_CHECKING:
    from mlgate.evidence import Evidence
    from mlgate.policy import Policy
    from mlgate.waivers import Waived

NAME = "report"
HELP = "Print the gate report of a version's newest evidence. Example: mlgate report models:/churn/3 --html report.html"


def command(
    uri: Annotated[str, typer.Argument(metavar="URI", help="A model version, or an evidence.json")],
    html: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write the page there instead")] = None,
    policy: PolicyOption = None,
    output: OutputOption = Output.TEXT,
) -> int:
    """Render the newest evidence."""
    from mlgate.policy_file import load_policy
    from mlgate.report.html import render_html
    from mlgate.report.markdown import render_markdown
    from mlgate.verdict import Reason

    judge = load_policy(Path(policy) if policy else None)
    evidence, envelope = _evidence(uri)
    found = vouched(envelope, evidence, listed_signers(judge))
    waived = () if uri.endswith(".json") else _waived(evidence, judge)
    signature = None if isinstance(found, Reason) else f"signed by {found.name}"
    # The page says "unsigned" whatever the reason; and JSON is the evidence, which does not know who signed it.
    say(f"mlgate: {signature or found}")
    if html is not None:
        write_whole(html, render_html(evidence, signature=signature, waived=waived).encode())
        say(f"report: {html}")
    elif output is Output.JSON:
        emit_json(evidence.to_json())
    else:
        result(render_markdown(evidence, signature=signature, waived=waived))
    return 0


def _waived(evidence: "Evidence", policy: "Policy") -> "tuple[Waived, ...]":
    """Return the checks of *evidence* that somebody answers for today."""
    from mlgate.verdict import assess
    from mlgate.waivers import settle

    signers, name = waiver_signers(policy), evidence.subject.name
    if not signers or name is None:
        return ()
    now = datetime.now(UTC)
    reasons = assess(policy, evidence, now).reasons
    return settle(reasons, evidence, stored_waivers(open_registry(), name, now), signers, now)[1]


def _evidence(uri: str) -> "tuple[Evidence, bytes | None]":
    """Return the newest evidence of a version, or that of a file, and the envelope beside it."""
    from mlgate.attest.dsse import MAX_ENVELOPE_BYTES
    from mlgate.evidence import Evidence as Document
    from mlgate.model_version import ModelUri
    from mlgate.registry.interface import BUNDLE_FILE, ENVELOPE_FILE

    if uri.endswith(".json"):
        try:
            places = (Path(uri).with_name(name) for name in (ENVELOPE_FILE, BUNDLE_FILE))
            beside = next((place for place in places if place.is_file()), None)
            envelope = None
            if beside is not None:
                with beside.open("rb") as file:
                    envelope = file.read(MAX_ENVELOPE_BYTES + 1)
            return Document.from_bytes(Path(uri).read_bytes()), envelope
        except OSError as error:
            raise EvidenceError(f"{uri}: can not be read ({error.strerror})") from error
    registry = open_registry()
    stored, evidence = newest_evidence(registry, registry.resolve(ModelUri.parse(uri)))
    return evidence, stored.envelope
