"""Own checks that decide nothing are told by `policy check`, which imports nobody's code."""

import pytest

from mlgate.cli import app
from mlgate.own_suites import undecided_suites
from mlgate.policy_file import load_policy

CHECKS = """
import sys
sys.exit("imported")
@pytest.mark.mlgate_check("rules.one", suite="rules")
def test_one(): ...
@mlgate_check("speed.one", suite="speed")
def test_two(): ...
@mlgate.relation("same.one", change=None, suite="same")
def test_three(): ...
@pytest.mark.mlgate_check("schema.mine", suite="schema")
def test_four(): ...
@other("x", suite="nobody")
def test_five(): ...
@mlgate_check("computed", suite=NAME)
def test_six(): ...
"""


@pytest.mark.parametrize(
    ("requires", "expected"),
    [
        ("schema", ("rules", "same", "speed")),
        ("schema, rules", ("same", "speed")),
        ("schema, rules, same, speed", ()),
        ("load, rules, same, speed", ("schema",)),
    ],
)
def test_suites_that_are_declared_and_not_required_are_named(tmp_path, capsys, requires, expected):
    """A line each, after the word that the policy can be used."""
    (tmp_path / "checks").mkdir()
    (tmp_path / "checks" / "test_rules.py").write_text(CHECKS)
    (tmp_path / "checks" / "test_broken.py").write_text("def")
    (tmp_path / "mlgate.yaml").write_text(f"requires: [{requires}]\nown_checks: [checks]\n")
    assert undecided_suites(load_policy(tmp_path / "mlgate.yaml")) == expected
    assert app.run(["policy", "check", str(tmp_path / "mlgate.yaml")]) == 0
    first, *others = capsys.readouterr().out.splitlines()
    assert "mlgate.yaml: ok, requires " in first
    said = "is not in requires: its checks are recorded, and decide nothing"
    assert others == [f"own_checks: suite {suite} {said}" for suite in expected]
