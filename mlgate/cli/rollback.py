"""`mlgate rollback`: back to the version before, in seconds: admitted once, the same bytes, somebody still vouches."""

import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mlgate.cli.admission import CHAMPION_ALIAS, listed_signers, open_registry, stored_waivers, waiver_signers
from mlgate.cli.console import (
    DryRunOption,
    Output,
    OutputOption,
    PolicyOption,
    YesOption,
    coloured,
    emit_json,
    result,
    say,
)
from mlgate.errors import ConfigError, ModelNotFound, UriError

if TYPE_CHECKING:
    from mlgate.policy import Policy
    from mlgate.promotion.journal import Event, Journal
    from mlgate.registry.interface import ModelRegistry
    from mlgate.verdict import Reason

NAME = "rollback"
HELP = "Move an alias back to the version before. Example: mlgate rollback churn --dry-run"

# The reason's code where the journal leads nowhere.
NO_WAY = "no_way_back"
# A second rollback within this time is the same one, asked for twice; `--to` says what is meant.
JUST_NOW = timedelta(minutes=10)


def command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Registered model")],
    to: Annotated[
        str | None,
        typer.Option("--to", metavar="VERSION", help="Default: the champion before this one, by the journal"),
    ] = None,
    alias: Annotated[str, typer.Option("--alias", metavar="ALIAS", help="The alias to move")] = CHAMPION_ALIAS,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="For the journal")] = "",
    policy: PolicyOption = None,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    output: OutputOption = Output.TEXT,
) -> int:
    """Find the way back, check it, move: exit 0 moved, 1 there is none."""
    from mlgate.cli.moving import image_missing
    from mlgate.cli.promote import one_line
    from mlgate.policy_file import load_policy
    from mlgate.promotion.journal import read_journal
    from mlgate.promotion.move import move

    why = one_line(reason)
    _check_words(alias, to)
    judge = load_policy(Path(policy) if policy else None)
    registry = open_registry()
    aliases = registry.aliases(name)
    current = aliases.get(alias)
    journal = read_journal(name, registry.events(name))
    _check_known(journal, alias, aliases)
    if to in (None, current) and (recent := _just_done(journal, alias, current)) is not None:
        # Where it was cut short, its entry is closed by this.
        if not dry_run:
            move(registry, recent, seen=current)
        return _twice(recent, output, named=to is not None)
    target = _target(journal, alias, current, to)
    if isinstance(target, str):
        return _lost(target, output)
    event = _event(journal, alias, current, target, why)
    reasons = _against(registry, judge, target)
    if reasons:
        _refuse(name, target, reasons, output)
        return 1
    if image_missing(target):
        say(f"mlgate: no image of models:/{name}/{target.after} on this engine: only the alias moves")
    words = f"{alias}: {current or 'nobody'} → {target.after}"
    if dry_run:
        return _done(event, output, f"would move {words}", moved=False)
    if not yes and sys.stdin.isatty():
        typer.confirm(f"{name}: move {words}?", abort=True, err=True)
    done = move(registry, event, seen=current)
    if not done.moved:
        return _done(done.event, output, f"{alias} is at version {target.after} already", moved=False)
    return _done(done.event, output, f"moved {words}", moved=True)


def _check_words(alias: str, to: str | None) -> None:
    from mlgate.model_version import alias_name

    alias_name(alias)
    # An empty one is a variable that a pipeline did not set, and not the word for "the one before".
    if to is not None and not re.fullmatch("[1-9][0-9]{0,8}", to):
        raise UriError(f"--to '{to[:60]}' is no version", hint="a number, as mlgate history shows it")


def _check_known(journal: "Journal", alias: str, aliases: Mapping[str, str]) -> None:
    if alias not in aliases and journal.last(alias) is None:
        # Else a misspelt one would be made.
        there = ", ".join(sorted(aliases)) or "none"
        raise ConfigError(
            f"{journal.name} has no alias '{alias}', and never had one by mlgate", hint=f"it has: {there}"
        )


def _lost(why: str, output: Output) -> int:
    say(f"mlgate: {why}")
    if output is Output.JSON:
        emit_json({"uri": None, "moved": False, "reasons": [{"code": NO_WAY, "check": None, "message": why}]})
    return 1


def _just_done(journal: "Journal", alias: str, current: str | None) -> "Event | None":
    """Return the rollback that led here, where it was a moment ago or was cut short; `None` where there is none.

    Two people in one incident, or one whose command was killed, want to go back once.
    """
    from mlgate.promotion.journal import Action
    from mlgate.verdict import parse_time

    found = [entry for entry in journal.open if entry.event.alias == alias]
    last = journal.last(alias)
    for entry in (*found, *([last] if last is not None else [])):
        event = entry.event
        age = datetime.now(UTC) - parse_time(event.at)
        recent = entry in found or abs(age) < JUST_NOW
        if event.action is Action.ROLLBACK and event.after == current and recent:
            return event
    return None


def _twice(recent: "Event", output: Output, *, named: bool) -> int:
    if not named:
        say(f"mlgate: further back: mlgate rollback {recent.name} --to VERSION; mlgate history {recent.name} has them")
    told = f"{recent.alias} was rolled back at {recent.at} by {recent.by}: {recent.before} → {recent.after}"
    return _done(recent, output, told, moved=False)


def _target(journal: "Journal", alias: str, current: str | None, to: str | None) -> "Event | str":
    """Return the promotion of the version to go back to, or why there is none."""
    version = to or journal.previous(alias, current)
    if version is None:
        return (
            f"the journal of {journal.name} knows no version that was {alias} before "
            f"{current or 'nobody'}. Hint: mlgate history {journal.name}"
        )
    if version == current:
        return f"{alias} of {journal.name} is at version {version} already"
    entry = journal.admitted(version, alias)
    if entry is None:
        uri = f"models:/{journal.name}/{version}"
        return (
            f"{uri} was never promoted to {alias} by mlgate: no way back leads there. "
            f"Hint: mlgate promote {uri} --to {alias}"
        )
    if to is None and (holes := journal.holes()):
        say(f"mlgate: {holes[0].message}: the {alias} before may be another. Hint: mlgate history {journal.name}")
    return entry.event


def _against(registry: "ModelRegistry", policy: "Policy", target: "Event") -> "tuple[Reason, ...]":
    from mlgate.cli.admission import digest_now
    from mlgate.model_version import ModelUri
    from mlgate.promotion.fallback import against
    from mlgate.verdict import Reason, parse_time

    try:
        version = registry.resolve(ModelUri.parse(f"models:/{target.name}/{target.after}"))
        digest = digest_now(registry, version, policy)
    except ModelNotFound as error:
        return (Reason(code="gone", message=error.message),)
    may_waive = waiver_signers(policy) if target.waived else ()
    stored = registry.evidence(target.name, run_id=target.run_id)
    return against(
        target,
        artifact_digest=digest,
        stored=next(iter(stored), None),
        signers=listed_signers(policy),
        waivers=stored_waivers(registry, target.name, parse_time(target.at)) if may_waive else (),
        waiver_signers=may_waive,
    )


def _event(journal: "Journal", alias: str, before: str | None, target: "Event", reason: str) -> "Event":
    from dataclasses import replace

    from mlgate.cli.moving import ci_facts
    from mlgate.promotion.journal import Action
    from mlgate.surroundings import asker
    from mlgate.verdict import format_time

    return replace(
        target,
        action=Action.ROLLBACK,
        alias=alias,
        before=before,
        reason=reason,
        by=asker(),
        at=format_time(datetime.now(UTC)),
        ci=ci_facts(),
        previous=journal.head,
    )


def _refuse(name: str, target: "Event", reasons: "tuple[Reason, ...]", output: Output) -> None:
    uri = f"models:/{name}/{target.after}"
    if output is Output.JSON:
        told = [{"code": reason.code, "check": reason.check, "message": reason.message} for reason in reasons]
        emit_json({"uri": uri, "moved": False, "reasons": told})
        return
    result(f"{uri}: {coloured('refused')}: {reasons[0]}. Hint: another version, mlgate rollback {name} --to VERSION")
    for reason in reasons[1:]:
        result(f"- {reason}")


def _done(event: "Event", output: Output, what: str, *, moved: bool) -> int:
    from mlgate.cli.moving import told

    if output is Output.JSON:
        emit_json({"uri": f"models:/{event.name}/{event.after}", "action": what, **told(event, moved=moved)})
    else:
        result(f"models:/{event.name}/{event.after}: {coloured('rolled back') if moved else 'rollback'}: {what}")
    return 0
