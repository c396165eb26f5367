"""The journal: what is on record, what it does not explain, and where a rollback leads."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgate.errors import EvidenceError
from mlgate.promotion.journal import MAX_BYTES, Action, Event, Journal, read_event, read_journal
from mlgate.registry.interface import EventState, StoredEvent

FIRST = Event(
    action=Action.PROMOTE,
    name="churn",
    alias="champion",
    before=None,
    after="1",
    artifact_digest="sha256:" + "1" * 64,
    evidence="sha256:" + "e" * 64,
    run_id="r-1",
    signer="ci.pub",
    policy="sha256:" + "b" * 64,
    waived=(),
    reason="",
    by="kim",
    at="2026-11-20T10:00:00Z",
)


def book(*moves, first=FIRST, state=EventState.CLOSED):
    """Stored events of moves, `("promote", "champion", "2")`, each with the one before as its previous."""
    stored, previous, where = [], None, {}
    for index, (action, alias, after) in enumerate(moves):
        event = replace(
            first,
            action=Action(action),
            alias=alias,
            before=where.get(alias),
            after=after,
            at=f"2026-11-20T10:{index:02}:00Z",
            previous=previous,
        )
        stored.append(StoredEvent(key=f"k{index}", raw=event.canonical(), state=state))
        previous, where[alias] = event.digest, after
    return stored


def promoted(*versions):
    """Promotions of these versions to champion, in this order."""
    return book(*(("promote", "champion", version) for version in versions))


def codes(stored, **aliases):
    """What the journal does not explain, where the aliases stand like this."""
    return [anomaly.code for anomaly in read_journal("churn", stored).anomalies(aliases)]


def test_an_event_reads_back_as_it_was_written():
    """With every field set, and text of any kind."""
    event = replace(
        FIRST,
        before="0",
        waived=("load.p99_latency",),
        reason="naïve \U0001f600",
        ci={"CI_JOB_ID": "7"},
        previous="sha256:x",
    )
    assert read_event(event.canonical()) == event


@pytest.mark.parametrize(
    "spoil",
    [
        lambda raw: raw[:-1],
        lambda raw: raw + b" ",
        lambda raw: raw.replace(b"mlgate-journal/1", b"mlgate-journal/2"),
        lambda raw: raw.replace(b'"by":"kim"', b'"by":"kim","x":1'),
        lambda raw: raw.replace(b'"promote"', b'"demote"'),
        lambda raw: raw.replace(b"2026-11-20T10:00:00Z", b"yesterday"),
        lambda raw: b"",
    ],
)
def test_an_event_that_was_changed_is_not_read_and_is_told(spoil):
    """It is an anomaly, and the moves after it no longer hang together."""
    stored = promoted("1", "2")
    raw = spoil(stored[0].raw)
    with pytest.raises(EvidenceError):
        read_event(raw)
    assert codes([replace(stored[0], raw=raw), stored[1]], champion="2") == ["unreadable", "broken_chain"]


def test_an_event_that_the_registry_can_not_keep_is_not_written():
    """Too long for a tag."""
    with pytest.raises(EvidenceError, match="shorten the reason"):
        _ = replace(FIRST, reason="x" * MAX_BYTES).canonical()


def test_a_journal_that_explains_everything_has_no_anomaly():
    """In whatever order the registry hands it out."""
    stored = promoted("1", "2", "3")
    assert codes(stored, champion="3") == codes(stored[::-1], champion="3") == []
    assert codes([], champion="3") == [], "what was never moved by mlgate is no move outside it"


def test_a_move_outside_mlgate_is_told_with_its_two_ends():
    """Between two entries, and between the last one and now; an alias that was taken away too."""
    stored = promoted("1", "2")
    last = read_event(stored[1].raw)
    gone = replace(last, before="7")
    found = read_journal("churn", [stored[0], replace(stored[1], raw=gone.canonical())]).anomalies({"champion": "9"})
    assert [anomaly.message for anomaly in found] == [
        "champion was moved outside mlgate between 2026-11-20T10:00:00Z and 2026-11-20T10:01:00Z: from 1 to 7",
        "champion was moved outside mlgate between 2026-11-20T10:01:00Z and now: from 2 to 9",
    ]
    assert [anomaly.before for anomaly in found] == ["k1", None]
    (taken,) = read_journal("churn", stored).anomalies({})
    assert taken.message.endswith("from 2 away")


@pytest.mark.parametrize("gone", [0, 1])
def test_a_deleted_entry_is_told(gone):
    """Append only: what was deleted leaves a gap."""
    stored = promoted("1", "2", "3")
    del stored[gone]
    assert "broken_chain" in codes(stored, champion="3")


def test_a_journal_without_its_end_looks_whole():
    """What came last is named by nothing: whoever deletes it and moves the alias back leaves no trace."""
    assert codes(promoted("1", "2", "3")[:2], champion="2") == []


def test_clocks_do_not_order_the_moves():
    """Each names the one before it: a runner whose clock is behind changes nothing."""
    stored = promoted("1", "2", "3")
    late = replace(read_event(stored[2].raw), at="2020-01-01T00:00:00Z")
    journal = read_journal("churn", [*stored[:2], replace(stored[2], raw=late.canonical())])
    assert [entry.event.after for entry in journal.done] == ["1", "2", "3"]
    assert journal.anomalies({"champion": "3"}) == ()


def test_an_open_entry_is_no_move_yet_and_is_told():
    """Nor is one that was abandoned, which is nothing at all; and one whose write was repeated is one."""
    stored = promoted("1", "2")
    stored[1] = replace(stored[1], state=EventState.OPEN)
    journal = read_journal("churn", stored)
    assert [entry.event.after for entry in journal.done] == ["1"]
    assert [anomaly.code for anomaly in journal.anomalies({"champion": "1"})] == ["unfinished"]
    assert [anomaly.code for anomaly in journal.anomalies({"champion": "2"})] == ["unfinished"]
    assert codes([stored[0], replace(stored[1], state=EventState.ABANDONED)], champion="1") == []
    twice = [*promoted("1", "2"), replace(stored[1], key="k9")]
    assert read_journal("churn", twice).open == ()
    twice = [stored[0], replace(stored[1], state=EventState.ABANDONED), replace(stored[1], key="k0")]
    assert read_journal("churn", twice).open == (), "or the next who promotes 2 would close it beside his own"
    assert codes(twice, champion="1") == []


def test_an_entry_of_another_model_is_no_entry_of_this_one():
    """Copied there by whoever may write."""
    stored = [
        *promoted("1"),
        StoredEvent(key="x", raw=replace(FIRST, name="fraud").canonical(), state=EventState.CLOSED),
    ]
    assert codes(stored, champion="1") == ["unreadable"]


@pytest.mark.parametrize(
    ("moves", "current", "target"),
    [
        ((), "1", None),
        ((("promote", "1"),), "1", None),
        ((("promote", "1"), ("promote", "2")), "2", "1"),
        ((("promote", "1"), ("promote", "2")), "9", "2"),
        ((("promote", "1"), ("promote", "2"), ("promote", "3"), ("rollback", "2")), "2", "1"),
        ((("promote", "1"), ("promote", "2"), ("rollback", "1"), ("promote", "3")), "3", "1"),
        ((("promote", "1"), ("promote", "2"), ("promote", "1")), "1", "2"),
        ((("promote", "1"), ("promote", "2"), ("promote", "3"), ("rollback", "1")), "1", None),
    ],
)
def test_a_rollback_leads_to_the_champion_before(moves, current, target):
    """Twice in a row goes back twice, and never to what was just taken away; a move outside is undone first."""
    stored = book(*((action, "champion", version) for action, version in moves))
    assert read_journal("churn", stored).previous("champion", current) == target


def test_each_alias_has_a_way_back_of_its_own():
    """Staging's last version is not the champion's."""
    journal = read_journal(
        "churn", book(("promote", "champion", "1"), ("promote", "staging", "2"), ("promote", "champion", "2"))
    )
    assert journal.previous("champion", "2") == "1"
    assert journal.previous("staging", "2") is None
    assert journal.head == journal.done[-1].event.digest


@given(st.lists(st.sampled_from(["1", "2", "3", "4"]), max_size=12), st.randoms())
def test_whatever_was_promoted_a_rollback_never_stays_and_is_never_new(versions, random):
    """For any history, in any order of reading."""
    moves = [version for index, version in enumerate(versions) if not index or versions[index - 1] != version]
    stored = promoted(*moves)
    random.shuffle(stored)
    journal: Journal = read_journal("churn", stored)
    assert [entry.event.after for entry in journal.done] == moves
    current = moves[-1] if moves else None
    target = journal.previous("champion", current)
    assert target is None or (target != current and target in moves)
    assert (target is None) == (len(moves) < 2)
