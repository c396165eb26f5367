"""Counting: rows that break a claim, and rows that can not be compared."""

from mlgate.scoring.answers import Answer
from mlgate.scoring.payloads import Batch
from mlgate_suites.problem import Problem, Unanswered, Unpaired
from mlgate_suites.tally import Tally

REFUSED = Answer(status=400, content_type="", body=b"{}", elapsed_s=0)
HANGING = Answer(status=0, content_type="", body=b"", elapsed_s=1, problem="timeout")


def batch(n):
    """Rows that say their own number."""
    return Batch(columns=("a",), rows=tuple([index] for index in range(n)))


def numbers(rows):
    return [row[0] for row in rows.rows]


def breaking(bad):
    """A claim that some rows break, and that does not tell which."""
    return lambda rows: Problem(text="x") if bad & set(numbers(rows)) else None


def test_rows_that_break_a_claim_are_counted_one_by_one():
    """By asking for halves, as long as there are probes."""
    tally = Tally()
    claim = breaking({3, 4, 77})
    tally.add(batch(100), claim(batch(100)), claim)
    tally.add(batch(50), None, claim)
    assert tally.batches == [(100, 3), (50, 0)]


def test_a_claim_that_tells_the_rows_is_not_asked_again():
    """Each question is a request."""
    tally = Tally()
    tally.add(batch(100), Problem(text="x", rows=(3, 4)), lambda rows: 1 / 0)
    assert tally.batches == [(100, 2)]


def test_rows_that_break_it_together_count_as_all_of_them():
    """Which of them is to blame can not be said, so none is let off."""
    tally = Tally()
    claim = lambda rows: Problem(text="x") if {0, 9} <= set(numbers(rows)) else None  # noqa: E731
    tally.add(batch(10), claim(batch(10)), claim)
    assert tally.batches == [(10, 10)]


def test_without_probes_every_row_counts_as_broken():
    """Fail closed."""
    tally = Tally()
    tally.counting.left = 0
    claim = breaking({3})
    tally.add(batch(64), claim(batch(64)), claim)
    assert tally.batches == [(64, 64)]


def test_the_rows_that_are_answered_are_tried_among_those_that_are_not():
    """One crashing row must not take a whole batch away from another check."""
    tally, tried = Tally(), []

    def claim(rows):
        if 13 in numbers(rows):
            raise Unanswered(REFUSED)
        tried.extend(numbers(rows))

    list(tally.asked(claim, batch(64)))
    assert sorted(tried) == [number for number in range(64) if number != 13]
    assert tally.unanswered == 1
    assert not tally.stopped


def test_a_server_that_is_lost_again_and_again_stops_the_search():
    """Each such request costs a timeout and a restart."""
    tally, asked = Tally(), []

    def claim(rows):
        asked.append(rows)
        raise Unanswered(HANGING)

    for _ in range(3):
        list(tally.asked(claim, batch(64)))
        if tally.stopped:
            break
    assert tally.stopped
    assert len(asked) == 4


def test_rows_without_a_partner_are_left_out_and_counted():
    """The claim is asked of the others."""
    tally, tried = Tally(), []

    def claim(rows):
        paired = tuple(place for place, number in enumerate(numbers(rows)) if number % 3)
        if len(paired) < len(rows):
            raise Unpaired(paired)
        tried.extend(numbers(rows))

    assert [len(part) for part, _ in tally.asked(claim, batch(9))] == [6]
    assert tried == [1, 2, 4, 5, 7, 8]
    assert tally.unpaired == 3
