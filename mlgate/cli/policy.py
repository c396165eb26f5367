"""`mlgate policy show|check|schema|diff`."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from mlgate.cli.console import Output, OutputOption, PolicyOption, emit_json, result, table

app = typer.Typer(help="Show, check, describe or compare policies.", no_args_is_help=True, rich_markup_mode=None)


@app.command("show", help="Print each effective value with its origin.")
def show(policy: PolicyOption = None, output: OutputOption = Output.TEXT) -> int:
    """Print key, value and origin; quantities are in seconds, bytes, fractions and events per second."""
    from mlgate.policy_file import load_policy, with_origins

    loaded = load_policy(Path(policy) if policy else None)
    rows = list(with_origins(loaded))
    if output is Output.JSON:
        values = {key: {"value": value, "origin": origin} for key, value, origin in rows}
        emit_json({"digest": loaded.digest, "path": str(loaded.path) if loaded.path else None, "values": values})
        return 0
    cells = [(key, json.dumps(value, ensure_ascii=False), origin) for key, value, origin in rows]
    result(table(("key", "value", "origin"), cells, markdown=output is Output.MARKDOWN))
    result(f"digest {loaded.digest}")
    return 0


@app.command("check", help="Read the policy and say whether it can be used.")
def check(
    file: Annotated[str | None, typer.Argument(metavar="FILE", help="Default: mlgate.yaml upward from here")] = None,
) -> int:
    """Exit 2 with one line where it can not."""
    from mlgate.own_suites import undecided_suites, words
    from mlgate.policy_file import load_policy

    loaded = load_policy(Path(file) if file else None)
    missing = [str(path) for path in loaded.own_checks if not path.exists()]
    if missing:
        from mlgate.errors import PolicyError

        raise PolicyError(f"own_checks: {missing[0]} does not exist", hint="paths are relative to the policy file")
    from mlgate.cli.admission import listed_signers, waiver_signers

    listed_signers(loaded)
    waiver_signers(loaded)
    if loaded.regressions is not None:
        from mlgate.regressions import read_regressions

        read_regressions(loaded.regressions, name=loaded.values.properties.regressions or "")
    result(f"{loaded.path or 'built-in policy'}: ok, requires {', '.join(loaded.requires)}")
    for suite in undecided_suites(loaded):
        result(f"own_checks: {words(suite)}")
    return 0


@app.command("schema", help="Print the JSON Schema of mlgate.yaml, for editors.")
def schema() -> int:
    """Print the schema."""
    from mlgate.policy_file import json_schema

    emit_json(json_schema())
    return 0


@app.command(
    "diff", help="Say what became weaker, stricter or different from one policy to another; exit 1 when weaker."
)
def diff(
    old: Annotated[str, typer.Argument(metavar="OLD", help="A file, REV:PATH as git writes it, or -")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="The same")],
    output: OutputOption = Output.TEXT,
) -> int:
    """Exit 1 when anything became weaker, or may have; 2 when one of them can not be read."""
    from mlgate.cli.policy_changes import as_json, as_markdown, as_text
    from mlgate.policy_diff import compare, weakened
    from mlgate.policy_source import read_policies

    sides = read_policies(old, new, stdin=sys.stdin)
    changes = compare(*sides)
    match output:
        case Output.JSON:
            emit_json(as_json(*sides, changes))
        case Output.MARKDOWN:
            result(as_markdown(*sides, changes))
        case Output.TEXT:
            result(as_text(*sides, changes))
    return 1 if weakened(changes) else 0
