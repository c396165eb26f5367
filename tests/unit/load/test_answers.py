import pytest
from hypothesis import given
from hypothesis import strategies as st

import mlgate.load.answers as module
from mlgate.load.answers import AnswerBook, KeptAnswer, kind_of_content, kind_of_status, pack, unpack
from mlgate.load.plan import Target
from mlgate.load.samples import ErrorKind

MLFLOW = Target(url="http://a", bodies=(b"1", b"2"), rows=(1, 2))
V2 = Target(url="http://a", bodies=(b"1",), rows=(1,), protocol="v2")


@pytest.mark.parametrize(
    ("status", "kind"),
    [(200, "NONE"), (400, "CLIENT_ERROR"), (499, "CLIENT_ERROR"), (500, "SERVER_ERROR"), (599, "SERVER_ERROR"),
     (204, "STATUS"), (302, "STATUS"), (100, "STATUS"), (600, "STATUS")],
)  # fmt: skip
def test_a_status_is_an_error_of_its_class(status, kind):
    """Only 200 carries a prediction."""
    assert kind_of_status(status) is ErrorKind[kind]


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b'{"predictions": [1.0]}', "NONE"),
        (b'{"predictions": ["NaN, Infinity"]}', "NONE"),
        (b'{"predictions": [NaN]}', "NOT_FINITE"),
        (b'{"predictions": [-Infinity]}', "NOT_FINITE"),
        (b'{"error": "out of memory"}', "INVALID"),
        (b'{"predictions": [1.0], "error_code": "INTERNAL_ERROR", "message": "fell back"}', "INVALID"),
        (b'{"predictions": [1.0], "error": null}', "NONE"),
        (b'{"predictions": []}', "INVALID"),
        (b'{"predictions": [1.0, 2.0]}', "INVALID"),
        (b'{"predictions": [NaN, NaN]}', "INVALID"),
        (b'{"predictions": 7}', "INVALID"),
        (b"[1.0]", "INVALID"),
        (b"<html>", "INVALID"),
        (b"", "INVALID"),
        (b"\xff\xfe", "INVALID"),
        (b"[" * 100_000, "INVALID"),
    ],
)
def test_an_mlflow_answer_of_one_row(content, kind):
    """A 200 with an error inside, too few rows or too many, no JSON, or a token that JSON does not have."""
    assert kind_of_content(content, MLFLOW, 0) is ErrorKind[kind]


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b'{"outputs": [{"name": "y", "shape": [1], "data": [1.0]}], "id": null}', "NONE"),
        (b'{"outputs": [{"name": "y", "shape": [1], "data": [null]}]}', "NOT_FINITE"),
        (b'{"outputs": [{"name": "y", "shape": [2], "data": [1.0, 2.0]}]}', "INVALID"),
        (b'{"outputs": [{"name": "y", "shape": [1], "data": []}]}', "INVALID"),
        (b'{"error": "boom"}', "INVALID"),
        (b'{"outputs": [{"name": "y", "shape": [1], "data": [1.0]}], "error": "boom"}', "INVALID"),
    ],
)
def test_a_v2_answer_of_one_row(content, kind):
    """Null is that protocol's word for a number that is not finite; elsewhere it is none."""
    assert kind_of_content(content, V2, 0) is ErrorKind[kind]


def test_where_it_is_allowed_a_number_need_not_be_finite():
    """And where the rows are not known, they are not counted."""
    lenient = Target(url="http://a", bodies=(b"1",), reject_not_finite=False)
    assert kind_of_content(b'{"predictions": [NaN, 1]}', lenient, 0) is ErrorKind.NONE


@given(st.binary(max_size=200))
def test_whatever_comes_is_judged(content):
    """Reading a stranger's bytes never raises."""
    for target in (MLFLOW, V2):
        kind_of_content(content, target, 0)


def test_an_answer_is_read_once(monkeypatch):
    """The second one of the same bytes costs no parser; the same bytes for another body are another answer."""
    read = []
    monkeypatch.setattr(module, "kind_of_content", lambda *args: read.append(args) or ErrorKind.NONE)
    book = AnswerBook((MLFLOW,))
    places = [book.judge(0, body, b"same")[1] for body in (0, 0, 1, 0, 1)]
    assert places == [0, 0, 1, 0, 1]
    assert len(read) == 2
    assert book.kept == [KeptAnswer(target=0, body=0, content=b"same"), KeptAnswer(target=0, body=1, content=b"same")]


def test_an_answer_with_an_id_of_its_own_is_the_same_answer():
    """MLServer numbers its answers; without this none would repeat. Another prediction is another answer."""
    text = '{"id": "%s", "outputs": [{"name": "y", "shape": [1], "data": [%d]}]}'
    ids = ["0b71dd7a-6f0f-4a52-a0f8-f5bb2e4a1f4b", "7e3f0c5e-5d3c-4f62-8a6a-3d2a9f0b8c1d"]
    book = AnswerBook((V2,))
    assert [book.judge(0, 0, (text % (each, 1)).encode()) for each in ids] == [(ErrorKind.NONE, 0)] * 2
    assert book.judge(0, 0, (text % (ids[0], 2)).encode()) == (ErrorKind.NONE, 1)


def test_what_is_kept_has_an_end_and_reaches_to_the_end(monkeypatch):
    """A quarter of the room is for the beginning; late answers find some too, and none goes beyond the caps."""
    monkeypatch.setattr(module, "MAX_ANSWERS", 100)
    book = AnswerBook((MLFLOW,))
    places = [book.judge(0, 0, b"%d" % n, progress=n / 1000)[1] for n in range(1000)]
    assert len(book.kept) == 100
    assert max(n for n, place in enumerate(places) if place >= 0) > 900
    assert [place for place in places if place >= 0] == list(range(100))
    monkeypatch.setattr(module, "MAX_BYTES", 1000)
    book = AnswerBook((MLFLOW,))
    for n in range(100):
        book.judge(0, 0, b"%050d" % n)
    assert sum(len(answer.content) for answer in book.kept) == 1000


def test_a_verdict_that_is_not_remembered_is_the_same(monkeypatch):
    """Beyond the cap an answer is read each time."""
    monkeypatch.setattr(module, "MAX_REMEMBERED", 0)
    book = AnswerBook((MLFLOW,))
    assert [book.judge(0, 0, b"x")[0] for _ in range(3)] == [ErrorKind.INVALID] * 3


@given(st.lists(st.builds(KeptAnswer, target=st.integers(0, 3), body=st.integers(0, 9), content=st.binary(max_size=9))))
def test_kept_answers_survive_their_way(answers):
    """From a worker to the master, and from there to the run."""
    assert unpack(pack(answers)) == tuple(answers)


def test_answers_of_several_workers_merge():
    """The same answer from two workers has one place."""
    book = AnswerBook((MLFLOW,))
    answer = KeptAnswer(target=0, body=1, content=b"x")
    other = KeptAnswer(target=0, body=0, content=b"x")
    assert [book.place_of(each) for each in (answer, other, answer)] == [0, 1, 0]
