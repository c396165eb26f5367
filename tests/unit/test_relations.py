"""Declaring a relation: which fixtures it asks for, and what is wrong with one that can not be called."""

import inspect
import subprocess
import sys

import pytest

import mlgate
from mlgate.relations import NEEDED


def same(rows):
    return rows


def test_a_relation_asks_for_what_its_function_asks_for_and_for_what_runs_it():
    """Not for the rows, which are given."""

    @mlgate.relation("rules.one", suite="rules", change=same)
    def one(before, after, mlgate_seed, region):
        """Holds."""

    assert list(inspect.signature(one).parameters) == [*NEEDED, "mlgate_seed", "region"]
    declared = one.mlgate_relation
    assert (declared.check, declared.suite, declared.own_fixtures) == ("rules.one", "rules", ("mlgate_seed", "region"))
    assert (one.__name__, one.__doc__) == ("one", "Holds.")


def test_what_is_recorded_is_what_the_search_found():
    """The function's own fixtures are handed on, and no others."""

    @mlgate.relation("rules.one", suite="rules")
    def one(answered, region):
        return True

    class Search:
        def relation(self, declared, inputs, fixtures):
            return (declared.check, inputs, fixtures)

    recorded = []
    one(mlgate_search=Search(), mlgate_inputs="inputs", mlgate_record=recorded.append, region="EU")
    assert recorded == [("rules.one", "inputs", {"region": "EU"})]


@pytest.mark.parametrize(
    ("function", "change", "said"),
    [
        (lambda before: True, same, "takes before and after, after is missing"),
        (lambda answered: True, same, "takes before and after, before is missing"),
        (lambda before, after: True, None, "takes answered, answered is missing"),
    ],
)
def test_a_function_that_can_not_be_called_is_refused_where_it_is_declared(function, change, said):
    """With the file and the line."""
    with pytest.raises(TypeError, match=rf"^test_relations\.py:[0-9]+: a relation with(out)? change {said}"):
        mlgate.relation("rules.one", suite="rules", change=change)(function)


def test_declaring_a_relation_imports_neither_pytest_nor_pandas():
    """A file of checks may be imported by anybody."""
    code = (
        "import mlgate, sys\n"
        "mlgate.relation('rules.one', suite='rules')(lambda answered: True)\n"
        "assert not {'pytest', 'pandas', 'numpy', 'hypothesis'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
