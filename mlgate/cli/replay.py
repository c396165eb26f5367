"""`mlgate replay`: try the rows of a saved failure again, through the same check in the same sandbox."""

import json
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from mlgate.cli.console import Output, OutputOption, coloured, emit_json, result
from mlgate.cli.test import run_pytest

NAME = "replay"
HELP = "Try a saved failure again. Example: mlgate replay failures/properties.total-1.json models:/churn/4"

_EXITS = {"fixed": 0, "still failing": 1}
UNDECIDED = 4


def command(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A file of failures/")],
    uri: Annotated[
        str | None, typer.Argument(metavar="[URI]", help="Model version; default: the one that it was found on")
    ] = None,
    policy: Annotated[str | None, typer.Option("--policy", metavar="FILE")] = None,
    sandbox: Annotated[str | None, typer.Option("--sandbox", metavar="KIND", help="container or process")] = None,
    image: Annotated[str | None, typer.Option("--image", metavar="REF", help="Test this image, build none")] = None,
    own_check: Annotated[
        list[str] | None,
        typer.Option("--own-check", metavar="FILE", help="A test file that the policy does not list (repeatable)"),
    ] = None,
    output: OutputOption = Output.TEXT,
) -> int:
    """Say whether a saved failure is fixed: exit 0 fixed, 1 still failing, 4 not decided."""
    from mlgate.regressions import read_saved

    saved = read_saved(Path(file))
    tested = uri or saved.origin.uri
    named = {"--mlgate-policy": policy, "--mlgate-sandbox": sandbox, "--mlgate-image": image}
    options = [f"{flag}={value}" for flag, value in named.items() if value is not None]
    with tempfile.TemporaryDirectory(prefix="mlgate-replay-") as folder:
        options += [f"--mlgate-replay={file}", f"--mlgate-output={folder}", "--mlgate-no-publish"]
        status = run_pytest(tested, [*options, *(own_check or ())], stdout=sys.stderr)
        left = Path(folder) / "replay.json"
        document: dict[str, Any] | None = json.loads(left.read_text("utf-8")) if left.exists() else None
    if document is None:
        # It never came to the check, and has said why; 0 and 1 are answers, and there is none.
        return status if status not in (0, 1) else UNDECIDED
    _print(file, document, output)
    return _EXITS.get(document["result"], UNDECIDED)


def _print(file: str, document: dict[str, Any], output: Output) -> None:
    if output is Output.JSON:
        emit_json({"file": file, **document})
        return
    mark = "**" if output is Output.MARKDOWN else ""
    line = f"{file}: {mark}{coloured(document['result'])}{mark} on {document['uri']} ({document['check']})"
    # The finding names the file too, as it must where a run tries many.
    reason = document["reason"].removeprefix(f"{file}: {document['result']}: ")
    result(line if document["result"] == "fixed" else f"{line}: {reason}")
