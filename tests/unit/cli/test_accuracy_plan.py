"""`mlgate accuracy plan`: a table before any run."""

import json

import pytest

from mlgate.cli import app

POLICY = """accuracy:
  data: holdout.csv
  label: y
  metrics:
    accuracy: {margin: 0.01}
    f1: {min: 0.8, margin: 0.02}
"""


@pytest.fixture
def policy(tmp_path, monkeypatch):
    """A policy in the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mlgate.yaml").write_text(POLICY)
    return tmp_path / "mlgate.yaml"


def test_the_loss_that_the_rows_can_show_is_printed_for_each_metric(policy, capsys):
    """With the rows that its margin needs, and what is missing in words."""
    assert app.run(["accuracy", "plan", "--rows", "1000"]) == 0
    out = capsys.readouterr().out
    lines = out.splitlines()
    assert lines[0].split("  ")[0] == "metric"
    assert [line.split()[0] for line in lines[1:3]] == ["accuracy", "f1"]
    assert "3 215" in lines[1]
    assert "slice" not in lines[0]
    assert "more rows." in lines[-1]
    assert app.run(["accuracy", "plan", "--rows", "10000000"]) == 0
    assert capsys.readouterr().out.rstrip().endswith("enough for every margin.")


def test_machines_get_the_same_numbers(policy, capsys):
    """One document on standard output, with every assumption."""
    words = ["accuracy", "plan", "--rows", "1000", "--discordance", "10%", "--positives", "50%", "--output", "json"]
    assert app.run(words) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["assumptions"]["discordance"] == 0.1
    accuracy, f1 = document["metrics"]
    assert accuracy["needed"] == 6280
    assert 0 < accuracy["detectable"] < f1["detectable"]
    assert accuracy["slice_needed"] is None


def test_the_smallest_slice_is_planned_where_the_policy_has_slices(policy, capsys):
    """With a column of its own."""
    policy.write_text(POLICY + "  slices: [region]\n")
    assert app.run(["accuracy", "plan", "--rows", "1000", "--slices-share", "25%", "--output", "markdown"]) == 0
    out = capsys.readouterr().out
    assert "rows for the slice" in out
    assert out.startswith("| metric")
    assert "the smallest slice holds 25% of them" in out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "Missing option '--rows'"),
        (["--rows", "0"], "--rows"),
        (["--rows", "10", "--discordance", "0.05"], "is not a quantity in %; write it like 0.5%"),
        (["--rows", "10", "--positives", "0%"], "not between 0% and 100%"),
        (["--rows", "10", "--correlation", "1"], "--correlation"),
        (["--rows", "10", "--policy", "nowhere.yaml"], "can not be read"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_status_2(policy, capsys, words, says):
    """And nothing on standard output."""
    assert app.run(["accuracy", "plan", *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert says in err
    assert err.count("\n") == 1


def test_a_policy_without_metrics_has_nothing_to_plan(policy, capsys):
    """And says where they stand."""
    policy.write_text("version: 1\n")
    assert app.run(["accuracy", "plan", "--rows", "10"]) == 2
    assert "no accuracy.metrics" in capsys.readouterr().err
