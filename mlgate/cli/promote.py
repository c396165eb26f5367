"""`mlgate promote`: move the alias, only after the gate."""

import sys
from typing import Annotated

import typer

from mlgate.cli.admission import CHAMPION_ALIAS, Decision, decide, show, show_waived
from mlgate.cli.console import (
    DryRunOption,
    Output,
    OutputOption,
    PolicyOption,
    UriArgument,
    YesOption,
    coloured,
    emit_json,
    result,
)
from mlgate.errors import LockedError, RegistryError

NAME = "promote"
HELP = "Move the champion alias to a version that the gate admits. Example: mlgate promote models:/churn/3 --dry-run"


def command(
    uri: UriArgument,
    to: Annotated[str, typer.Option("--to", metavar="ALIAS", help="The alias to move")] = CHAMPION_ALIAS,
    policy: PolicyOption = None,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    output: OutputOption = Output.TEXT,
) -> int:
    """Gate, move, read back."""
    decision = decide(uri, policy)
    version, name = decision.today.version, decision.today.version.name
    if not decision.admission.admitted or name is None or version.version is None:
        show(decision, output)
        return decision.admission.exit_code
    before = decision.registry.aliases(name).get(to)
    move = f"{to}: {before or 'nobody'} → {version.version}"
    if before == version.version:
        return _done(decision, output, f"{to} is at version {before} already", moved=False)
    if dry_run:
        return _done(decision, output, f"would move {move}", moved=False)
    if not yes and sys.stdin.isatty():
        typer.confirm(f"{name}: move {move}?", abort=True, err=True)
    _move(decision, name, to, before=before, version=version.version)
    return _done(decision, output, f"moved {move}", moved=True)


def _move(decision: Decision, name: str, alias: str, *, before: str | None, version: str) -> None:
    """Move the alias under the model's lock and read it back: MLflow's last writer wins, and nobody tells the first.

    Raises:
        LockedError: Somebody else has the lock, or moved it since the gate read it, or right after this write.
        RegistryError: The alias does not read back at all.
    """
    from mlgate.locking.lock import lock_for

    registry = decision.registry
    with lock_for(registry, name) as held:
        now = registry.aliases(name).get(alias)
        if now != before:
            raise LockedError(
                f"{alias} of {name} moved from {before} to {now} meanwhile", hint="judge again: mlgate gate"
            )
        held.check()
        registry.set_alias(name, alias, version)
        found = registry.aliases(name).get(alias)
        if found is None:
            raise RegistryError(f"{alias} of {name} does not read back after the move")
        if found != version:
            raise LockedError(
                f"{alias} of {name} is at {found} after it was moved to {version}: somebody else moved it too"
            )
        try:
            held.check()
        except LockedError as error:
            raise LockedError(
                f"{alias} of {name} was moved to {version}, and may be moved again: {error.message}",
                hint="see who is right: mlgate status",
            ) from error


def _done(decision: Decision, output: Output, what: str, *, moved: bool) -> int:
    uri = decision.today.version.uri
    if output is Output.JSON:
        emit_json({"uri": uri, "moved": moved, "action": what, **decision.admission.to_json()})
    else:
        result(
            f"{uri}: {coloured('promoted') if moved else coloured('admitted')} ({decision.admission.provenance}): {what}"
        )
        show_waived(decision.admission, output)
    return 0
