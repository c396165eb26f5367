"""Failures on disk: numbered files, rows brought back, and what a finding shows of them."""

import pytest

from mlgate.artifacts.signature import Column, ColumnSchema, DataType, Tensor, TensorSchema
from mlgate.evaluation.rows import EvaluationData
from mlgate.failure import MAX_EXCHANGES, MAX_FILE_BYTES, Case, DataRow, exchange
from mlgate.generation.input_space import input_space
from mlgate.scoring.payloads import Batch
from mlgate_suites.problem import Problem
from mlgate_suites.saved import Misfit, exchanges_of, rows_of, save, shown_request, shown_rows
from tests.unit.test_failure import ANSWER, failure

SPACE = input_space(
    ColumnSchema((Column("age", DataType.DOUBLE, True), Column("visits", DataType.LONG, True))), rules={}
)
DATA = EvaluationData.of(
    source="x",
    digest="sha256:0",
    features=Batch(columns=("visits", "age"), rows=([3.0, 41.5], [4.0, 17.0])),
    labels=(0, 1),
    keys=("ann", "bob"),
)


def test_files_are_numbered(tmp_path):
    """A check may find more than one, and two checks never share a file."""
    names = [
        save(failure(check=check), tmp_path) for check in ("properties.total", "properties.total", "properties.batch")
    ]
    assert names == [
        "failures/properties.total-1.json", "failures/properties.total-2.json", "failures/properties.batch-1.json",
    ]  # fmt: skip
    assert all((tmp_path / name).is_file() for name in names)


def test_what_is_too_large_is_not_saved(tmp_path):
    """The finding stands all the same."""
    assert save(failure(case=Case(columns=None, rows=("x" * MAX_FILE_BYTES,))), tmp_path) == ""
    assert list(tmp_path.rglob("*.json")) == []


def test_a_row_of_the_data_comes_back_as_the_inputs_spell_it():
    """By its key, whatever the order of the columns; what was changed stays changed."""
    case = Case(columns=("age", "visits"), rows=(DataRow(key="bob", changed=(("age", 90.0),)), DataRow(key="ann")))
    batch = rows_of(case, SPACE, DATA)
    assert batch.rows == ([90.0, 4], [41.5, 3])
    assert all(isinstance(row[1], int) for row in batch.rows)


def test_a_further_column_of_a_pair_comes_back_from_the_file():
    """The evaluation data has no such column."""
    space = SPACE.with_extra(
        [input_space(ColumnSchema((Column("other", DataType.DOUBLE, True),)), rules={}).domains[0]]
    )
    case = Case(columns=("age", "visits", "other"), rows=(DataRow(key="ann", changed=(("other", 5.0),)),))
    assert rows_of(case, space, DATA).rows == ([41.5, 3, 5.0],)


@pytest.mark.parametrize(
    ("case", "data", "said"),
    [
        (Case(columns=("age",), rows=(DataRow(key="ann"),)), None, "there are none here"),
        (Case(columns=("age",), rows=(DataRow(key="eve"),)), DATA, "has no row 'eve'"),
        (Case(columns=("age", "colour"), rows=([1.0, "red"],)), None, "it has a column 'colour'"),
        (Case(columns=None, rows=([1.0],)), None, "of another kind"),
    ],
)
def test_rows_that_do_not_fit_are_named(case, data, said):
    """They are not tried as something else."""
    with pytest.raises(Misfit, match=said):
        rows_of(case, SPACE, data)


def test_rows_of_columns_do_not_fit_tensors():
    """Nor the other way round."""
    tensors = input_space(TensorSchema((Tensor(None, "float32", (-1, 2)),)), rules={})
    with pytest.raises(Misfit, match="of another kind"):
        rows_of(Case(columns=("age",), rows=([1.0],)), tensors, None)
    assert rows_of(Case(columns=None, rows=([1.0, 2.0],)), tensors, None).rows == ([1.0, 2.0],)


def test_the_last_requests_are_kept_with_their_answers():
    """What is wrong shows in the last."""
    requests = tuple((str(number).encode(), "text/csv") for number in range(MAX_EXCHANGES + 4))
    kept = exchanges_of(Problem(text="x", requests=requests, answers=(ANSWER,)), "/invocations", most=MAX_EXCHANGES, shown=True)  # fmt: skip
    assert [part.body for part in kept] == [str(number) for number in range(4, MAX_EXCHANGES + 4)]
    first = exchanges_of(Problem(text="x", requests=requests[:2], answers=(ANSWER,)), "/i", most=2, shown=True)
    assert [part.answer.get("status") for part in first] == [400, None]


def test_a_reader_sees_names_and_keys():
    """Rows by column, data rows by key."""
    case = Case(columns=("age", "visits"), rows=([1.0, 2], DataRow(key="ann", changed=(("age", 3.0),))))
    assert shown_rows(case) == ({"age": 1.0, "visits": 2}, {"key": "ann", "changed": {"age": 3.0}})
    assert shown_rows(Case(columns=None, rows=([1.0],))) == ([1.0],)


def test_a_long_request_stands_in_the_file_and_not_in_the_finding():
    """Evidence is read in one piece."""
    short, long = (exchange("/i", b"x" * size, "text/csv", ANSWER) for size in (10, 30_000))
    assert set(shown_request([short])) == {"request", "curl"}
    assert set(shown_request([long])) == {"request"}
    assert len(shown_request([long])["request"]) < 21_000
    assert shown_request([]) == {}
