"""`mlgate promote`: move an alias, only after the gate, one at a time and on record."""

import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

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
    say,
)
from mlgate.errors import ConfigError

if TYPE_CHECKING:
    from mlgate.promotion.journal import Event, Journal
    from mlgate.promotion.move import Standing

NAME = "promote"
HELP = "Move an alias to a version that the gate admits. Example: mlgate promote models:/churn/3 --dry-run"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """The move that is asked for: *name* and *number* are the version's, *alias* is to point at it."""

    decision: Decision
    name: str
    number: str
    alias: str
    reason: str


def command(
    uri: UriArgument,
    to: Annotated[str, typer.Option("--to", metavar="ALIAS", help="The alias to move")] = CHAMPION_ALIAS,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="For the journal")] = "",
    policy: PolicyOption = None,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    output: OutputOption = Output.TEXT,
) -> int:
    """Gate, lock, move, read back, record."""
    from mlgate.model_version import alias_name
    from mlgate.promotion.journal import read_journal
    from mlgate.promotion.move import move
    from mlgate.registry.interface import Capability

    alias_name(to)
    decision = decide(uri, policy, needs=(Capability.ALIASES, Capability.TAGS))
    version, registry = decision.today.version, decision.registry
    if not decision.admission.admitted or version.name is None or version.version is None:
        show(decision, output)
        return decision.admission.exit_code
    asked = _Asked(decision=decision, name=version.name, number=version.version, alias=to, reason=one_line(reason))
    journal, aliases = read_journal(asked.name, registry.events(asked.name)), registry.aliases(asked.name)
    _in_order(asked, journal)
    event = _event(asked, journal, aliases.get(to))
    words = f"{to}: {aliases.get(to) or 'nobody'} → {asked.number}"
    there = aliases.get(to) == asked.number
    if dry_run:
        _warn(asked, journal, aliases.get(to))
        would = f"would move {words}"
        if there:
            would = f"{to} is at version {asked.number} already"
            would += "" if journal.knows(event) else ", and would be put on record"
        return _done(asked, event, output, would, moved=False)
    if not yes and sys.stdin.isatty() and not there:
        typer.confirm(f"{asked.name}: move {words}?", abort=True, err=True)
    # The champion that the evidence was compared with, and not who is there by the time of this line.
    seen = decision.today.champion_version if to == CHAMPION_ALIAS else aliases.get(to)
    done = move(registry, event, seen=seen, look=lambda standing: _look(asked, standing, seen))
    if done.moved:
        return _done(asked, done.event, output, f"moved {words}", moved=True)
    what = f"{to} is at version {asked.number}"
    if done.adopted:
        what += " already: on record now, which it was not"
    else:
        what += ": an earlier move, which was cut short, is on record now" if done.repaired else " already"
    return _done(asked, done.event, output, what, moved=False)


def one_line(reason: str) -> str:
    """Return a reason for the journal.

    Raises:
        ConfigError: Longer than its entries take.
    """
    from mlgate.promotion.journal import MAX_REASON

    text = " ".join(reason.split())
    if len(text) > MAX_REASON or not text.isprintable():
        raise ConfigError(f"--reason has {len(text)} characters, and takes up to {MAX_REASON} that can be printed")
    return text


def _in_order(asked: _Asked, journal: "Journal") -> None:
    """Hold the move to the policy's path.

    Raises:
        ConfigError: The alias is not on it.
        PathError: The alias before it never pointed at these bytes.
    """
    from mlgate.promotion.journal import PathError

    path = asked.decision.policy.values.promotion.path
    if not path:
        return
    if asked.alias not in path:
        raise ConfigError(f"{asked.alias} is not on the policy's promotion.path: {', '.join(path)}", hint="--to ALIAS")
    place = path.index(asked.alias)
    if place == 0:
        return
    before, digest = path[place - 1], asked.decision.today.artifact_digest
    if not any(e.event.after == asked.number and e.event.artifact_digest == digest for e in journal.of(before)):
        uri = asked.decision.today.version.uri
        raise PathError(
            f"{uri} was never {before}, which comes before {asked.alias}", hint=f"mlgate promote {uri} --to {before}"
        )


def _event(asked: _Asked, journal: "Journal", before: str | None) -> "Event":
    from mlgate.cli.moving import ci_facts
    from mlgate.promotion.journal import Action, Event
    from mlgate.surroundings import asker
    from mlgate.verdict import format_time

    admission = asked.decision.admission
    return Event(
        action=Action.PROMOTE,
        name=asked.name,
        alias=asked.alias,
        before=before,
        after=asked.number,
        artifact_digest=asked.decision.today.artifact_digest,
        evidence=admission.evidence_digest or "",
        run_id=admission.run_id or "",
        signer=admission.signer.name if admission.signer else None,
        policy=asked.decision.policy.digest,
        waived=tuple(dict.fromkeys(waived.reason.check or "" for waived in admission.waived)),
        reason=asked.reason,
        by=asker(),
        at=format_time(datetime.now(UTC)),
        ci=ci_facts(),
        previous=journal.head,
    )


def _look(asked: _Asked, standing: "Standing", seen: str | None) -> None:
    """Look under the lock at what the decision was made against, and at the way back.

    Raises:
        LockedError: Another champion than the evidence was compared with, also where another alias is to move.
    """
    from mlgate.promotion.move import elsewhere

    champion, judged = standing.aliases.get(CHAMPION_ALIAS), asked.decision.today.champion_version
    if champion != judged:
        raise elsewhere(asked.name, CHAMPION_ALIAS, judged, champion)
    _warn(asked, standing.journal, seen)


def _warn(asked: _Asked, journal: "Journal", before: str | None) -> None:
    """Say now where a rollback could not lead: in an incident it is too late."""
    from mlgate.cli.moving import image_missing

    if before in (None, asked.number):
        return
    entry = journal.admitted(before, asked.alias)
    uri = f"models:/{asked.name}/{before}"
    if entry is None:
        say(f"mlgate: no way back: {uri} was never promoted by mlgate to {asked.alias}, so rollback will not go there")
    elif before == asked.decision.today.champion_version and (
        asked.decision.today.champion_digest != entry.event.artifact_digest
    ):
        say(f"mlgate: no way back: the artifacts of {uri} changed since its promotion")
    elif image_missing(entry.event):
        say(f"mlgate: the way back is slow: no image of {uri} on this engine. Hint: mlgate image build {uri}")


def _done(asked: _Asked, event: "Event", output: Output, what: str, *, moved: bool) -> int:
    from mlgate.cli.moving import told

    decision, uri = asked.decision, asked.decision.today.version.uri
    if output is Output.JSON:
        document: dict[str, Any] = {
            "uri": uri,
            "action": what,
            **decision.admission.to_json(),
            **decision.digests_to_json(),
            **told(event, moved=moved),
        }
        emit_json(document)
    else:
        word = coloured("promoted") if moved else coloured("admitted")
        result(f"{uri}: {word} ({decision.admission.provenance}): {what}")
        show_waived(decision.admission, output)
    return 0
