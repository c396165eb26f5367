"""Coverage: what was tried of each column stands in the evidence, and nothing of the data that is not stored."""

import json

from mlgate.artifacts.signature import Column, ColumnSchema, DataType, Tensor, TensorSchema
from mlgate.generation.coverage import Coverage
from mlgate.generation.domain import renamed
from mlgate.generation.input_space import input_space
from mlgate.generation.interface import Mode
from mlgate.policy_properties import InputRule
from mlgate.scoring.payloads import Batch

SPACE = input_space(
    ColumnSchema(
        (
            Column("plan", DataType.STRING, True),
            Column("age", DataType.LONG, True),
            Column("score", DataType.DOUBLE, False),
        )
    ),
    rules={"plan": InputRule(values=("basic", "pro", "team")), "age": InputRule(min=0, max=120)},
)


def batch(*rows):
    """Rows of the space above."""
    return Batch(columns=("plan", "age", "score"), rows=tuple(map(list, rows)))


def test_distinct_values_edges_and_nulls_are_counted():
    """One and true are two values; the same row twice is one."""
    coverage = Coverage(SPACE)
    coverage.add(batch(("basic", 0, None), ("basic", 1, 0.5)))
    coverage.add(batch(("basic", 1, 0.5), ("pro", 120, 1.0)))
    told = coverage.to_json()
    assert told["rows"] == 4
    assert told["columns"]["plan"] == {"distinct": 2, "edges": [2, 3], "missing": ["'team'"]}
    assert told["columns"]["age"]["distinct"] == 3
    assert told["columns"]["age"]["edges"] == [3, len(SPACE.domain("age").edges)]
    assert told["columns"]["score"]["nulls"] == 1
    assert coverage.missing["plan"] == 1
    assert told["columns"]["age"]["missing"] == ["60", "119"]
    assert len(told["columns"]["score"]["missing"]) == 3


def test_a_column_of_which_nothing_was_tried_is_named():
    """The check is inconclusive then; null alone is nothing."""
    coverage = Coverage(SPACE)
    assert coverage.empty == ("plan", "age", "score")
    coverage.add(batch(("basic", 0, None)))
    assert coverage.empty == ("score",)


def test_a_run_of_a_hundred_rows_leaves_nothing_out():
    """Declared values and edges all come up."""
    coverage = Coverage(SPACE)
    coverage.add(SPACE.sample(100, seed=1))
    coverage.add(SPACE.sample(30, seed=2, modes={domain.name: Mode.EDGES for domain in SPACE.domains}))
    assert coverage.empty == ()
    assert coverage.missing == {}
    assert "missing" not in json.dumps(coverage.to_json())


def test_values_that_were_seen_in_data_are_counted_and_never_named():
    """`evidence.rows: synthetic` stores none of them."""
    known = Batch(columns=("plan", "age", "score"), rows=(["secret one", 3, 0.5], ["secret two", 4, 0.5]))
    schema = ColumnSchema((Column("plan", DataType.STRING, True),))
    coverage = Coverage(input_space(schema, rules={}, data=known))
    coverage.add(Batch(columns=("plan",), rows=(["secret one"],)))
    assert coverage.to_json()["columns"]["plan"] == {"distinct": 1, "edges": [1, 2]}
    assert "secret" not in json.dumps(coverage.to_json())


def test_further_columns_and_tensors_count_as_well():
    """By name, or by place where there is none."""
    wide = SPACE.with_extra([renamed(SPACE.domain("age"), "age'")])
    coverage = Coverage(wide)
    coverage.add(wide.sample(50, seed=1))
    assert coverage.to_json()["columns"]["age'"]["distinct"] > 10
    tensors = input_space(TensorSchema((Tensor(None, "float32", (-1, 2)),)), rules={})
    coverage = Coverage(tensors)
    coverage.add(tensors.sample(50, seed=1))
    assert coverage.to_json()["columns"]["0"]["distinct"] > 20
    assert coverage.empty == ()


def test_the_evidence_stays_small_with_many_columns():
    """Two hundred columns are some kilobytes."""
    schema = ColumnSchema(tuple(Column(f"c{n}", DataType.DOUBLE, True) for n in range(200)))
    space = input_space(schema, rules={})
    coverage = Coverage(space)
    coverage.add(space.sample(20, seed=1))
    assert len(json.dumps(coverage.to_json())) < 40_000
