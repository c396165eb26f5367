"""--mlgate-replay: one saved failure is tried again, through the same check, and nothing is judged or written."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest

from mlgate.failure import Case, read_failure
from tests.plugin.seam import VARIABLE


def result(gated, path, *options, version=1):
    """Replay, and return the exit status with what was written for the command."""
    folder = gated.pytester.path / "result"
    folder.mkdir(exist_ok=True)
    run = gated.run(f"--mlgate-replay={path}", f"--mlgate-output={folder}", *options, uri=f"models:/churn/{version}")
    written = folder / "replay.json"
    return run, json.loads(written.read_text()) if written.exists() else None


def test_a_failure_is_published_with_the_evidence(raised):
    """One file for it, and the finding names it."""
    gated, path = raised
    total = next(check for check in gated.evidence().checks() if check.id == "properties.total")
    assert total.finding.details["file"] == "failures/properties.total-1.json"
    failure = read_failure(path.read_bytes(), name="x")
    assert failure.origin.uri == "models:/churn/1"
    assert failure.origin.artifact_digest == gated.evidence().subject.artifact_digest
    assert failure.origin.policy_digest == gated.evidence().policy.digest
    assert failure.seed == gated.evidence().seed
    assert [file.name for file in path.parent.iterdir()].count("properties.total-1.json") == 1


def test_the_same_version_still_fails(raised):
    """Exit 1, with the problem; no evidence, no tag, and the files of the run before stay."""
    gated, path = raised
    before = gated.evidence()
    run, written = result(gated, path)
    assert run.ret == 1
    assert written["result"] == "still failing"
    assert "raises: ValueError: too old" in written["reason"]
    assert "curl" in written
    run.stdout.fnmatch_lines(["mlgate: still failing: *"])
    assert gated.evidence() == before
    assert gated.world.registry.writes == []


def test_another_version_is_fixed(raised):
    """Exit 0."""
    gated, path = raised
    gated.register("good")
    run, written = result(gated, path, version=2)
    assert run.ret == 0
    assert (written["result"], written["uri"], written["check"]) == ("fixed", "models:/churn/2", "properties.total")


def test_only_the_one_check_runs(raised):
    """Neither the other checks nor the environment's."""
    gated, path = raised
    gated.acceptance()
    run, _ = result(gated, path)
    run.assert_outcomes(failed=1)


def test_a_version_that_can_not_be_served_is_not_decided(raised):
    """Neither fixed nor still failing."""
    gated, path = raised
    gated.register("unloadable")
    run, written = result(gated, path, version=2)
    assert run.ret == 20
    assert written["result"] == "not decided"
    assert "lightgbm" in written["reason"]


@pytest.mark.parametrize(("text", "said"), [(None, "can not be read"), ("{", "not JSON"), ("{}", "no saved failure")])
def test_a_file_that_is_none_is_refused_with_one_line(gated, text, said):
    """Before anything is fetched."""
    path = gated.pytester.path / "x.json"
    if text is not None:
        path.write_text(text)
    assert said in gated.refusal(gated.run(f"--mlgate-replay={path}"))


def test_a_check_that_the_policy_does_not_have_is_refused(raised):
    """Nothing would try it."""
    gated, path = raised
    failure = read_failure(path.read_bytes(), name="x")
    path.write_bytes(replace(failure, check="properties.monotonic[column=age]").to_bytes())
    assert "this run has no check properties.monotonic[column=age]" in gated.refusal(result(gated, path)[0])


def test_a_case_that_does_not_fit_is_not_decided(raised):
    """A column that the inputs do not have."""
    gated, path = raised
    failure = read_failure(path.read_bytes(), name="x")
    path.write_bytes(replace(failure, case=Case(columns=("colour",), rows=(["red"],))).to_bytes())
    run, written = result(gated, path)
    assert run.ret == 20
    assert "it has a column 'colour'" in written["reason"]


RELATION = """
import mlgate

@mlgate.relation("rules.younger", suite="rules", change=lambda rows: rows.assign(age=rows["age"] - 1))
def test_younger(before, after):
    return after.answers["score"] <= 1 - (after.inputs["age"] > 39) * 2
"""


def test_a_users_relation_is_a_check_that_saves_and_replays(gated):
    """Its id, its suite and its file, as for mlgate's own; without a suite option or a marker."""
    gated.policy("schema, rules", "own_checks: [acceptance/]")
    (gated.pytester.path / "acceptance").mkdir()
    (gated.pytester.path / "acceptance/test_rules.py").write_text(RELATION)
    assert gated.run().ret == 1
    assert gated.outcomes()["rules.younger"] == "failed"
    path = gated.pytester.path / ".mlgate/churn-1/failures/rules.younger-1.json"
    run, written = result(gated, path)
    assert run.ret == 1
    assert written["result"] == "still failing"
    assert "the relation does not hold" in written["reason"]
    text = RELATION.replace("* 2", "* 0")
    (gated.pytester.path / "acceptance/test_rules.py").write_text(text)
    run, written = result(gated, path)
    assert (run.ret, written["result"]) == (0, "fixed")


def test_a_relation_that_errs_is_errored(gated):
    """With the line that names it; and it is no pass."""
    gated.policy("schema, rules", "own_checks: [acceptance/]")
    (gated.pytester.path / "acceptance").mkdir()
    (gated.pytester.path / "acceptance/test_rules.py").write_text(RELATION.replace('"age"] - 1', '"agee"] - 1'))
    assert gated.run().ret == 20
    (check,) = gated.evidence().suites["rules"].checks
    assert (str(check.outcome), check.finding.reason) == ("errored", "test_rules.py:4: change: KeyError: 'agee'")


def test_a_relation_is_parametrised_and_asks_for_fixtures(gated):
    """As any check."""
    gated.policy("schema, rules", "own_checks: [acceptance/]")
    (gated.pytester.path / "acceptance").mkdir()
    (gated.pytester.path / "acceptance/test_rules.py").write_text(
        "import mlgate, pytest\n"
        "@pytest.mark.parametrize('limit', [0, 1])\n"
        "@mlgate.relation('rules.range', suite='rules')\n"
        "def in_range(answered, limit, mlgate_seed):\n"
        "    assert mlgate_seed >= 0\n"
        "    return (answered.answers['score'] - limit).abs() <= 1\n"
    )
    assert gated.run().ret == 0
    assert {"rules.range[limit=0]", "rules.range[limit=1]"} <= set(gated.outcomes())


def test_a_relation_that_takes_the_wrong_names_stops_collection(gated):
    """The line says what is missing."""
    gated.policy("schema, rules", "own_checks: [acceptance/]")
    (gated.pytester.path / "acceptance").mkdir()
    (gated.pytester.path / "acceptance/test_rules.py").write_text(RELATION.replace("before, after", "before, later"))
    run = gated.run()
    assert run.ret not in (0, 1)
    run.stdout.fnmatch_lines(["*TypeError: test_rules.py:4: a relation with change takes before and after, after is missing*"])  # fmt: skip


def test_a_check_that_asks_for_the_search_needs_the_marker(gated):
    """Whose failures would it save?"""
    gated.policy("schema, rules", "own_checks: [acceptance/]")
    gated.acceptance()
    (gated.pytester.path / "acceptance/test_plain.py").write_text("def test_plain(mlgate_search): pass\n")
    run = gated.run()
    assert run.ret == 1
    run.stdout.fnmatch_lines(["*mlgate_search needs the marker mlgate_check*"])


def test_the_command_says_what_came_of_it(raised, monkeypatch):
    """`mlgate replay FILE URI`: one line on standard output, and the exit status; pytest's own on standard error."""
    gated, path = raised
    told = gated.pytester.path / "told.json"
    versions = [str(gated.models(behaviour)) for behaviour in ("raises", "good", "unloadable")]
    monkeypatch.setenv(VARIABLE, json.dumps({"versions": versions, "told": str(told)}))
    monkeypatch.setenv("PYTEST_PLUGINS", "tests.plugin.seam")
    ends = []
    for version in (None, 2, 3):
        uri = [] if version is None else [f"models:/churn/{version}"]
        done = subprocess.run(
            [sys.executable, "-m", "mlgate", "replay", str(path), *uri], capture_output=True, text=True, check=False
        )
        assert "test session starts" not in done.stdout
        ends.append((done.returncode, done.stdout.removeprefix(f"{path}: ").partition(" on models:/churn/")[0]))
    assert ends == [(1, "still failing"), (0, "fixed"), (4, "not decided")]
