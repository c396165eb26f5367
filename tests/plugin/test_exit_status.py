"""Exit status: 0 passed, 1 failed, 20 undecided, 4 wrong option, 3 unreachable."""

import pytest

from mlgate.errors import EngineError, InstallError, RegistryError

GONE = RegistryError("the registry at http://nowhere does not answer")


@pytest.mark.parametrize("behaviour", ["raises", "random", "wrong_type"])
def test_a_failing_model_ends_with_1(gated, behaviour):
    """A required check that fails makes the verdict failed; the tags say so, and the failing row is kept."""
    gated.policy("schema, properties")
    gated.register(behaviour)
    # The server is one of this process here, and its own log would be shown as the test's.
    result = gated.run("--show-capture=no")
    assert result.ret == 1
    assert gated.evidence().verdict.outcome == "failed"
    assert gated.tags()["mlgate.status"] == "failed"
    assert gated.last_line(result).startswith("models:/churn/1: failed (unsigned): ")
    result.stdout.no_fnmatch_line("*Traceback*")
    if behaviour == "raises":
        assert list((gated.pytester.path / ".mlgate/churn-1/failures").glob("properties.total-1.json"))


def test_a_model_that_does_not_load_ends_with_1(gated):
    """A version that can not be loaded is a failed version; what could not be asked is errored."""
    gated.register("unloadable")
    result = gated.run()
    assert result.ret == 1
    outcomes = gated.outcomes()
    assert outcomes["environment.load"] == "failed"
    assert outcomes["schema.example"] == "errored"
    result.stdout.fnmatch_lines(["*the model is not served: the model can not be loaded: No module named 'lightgbm'*"])


def test_a_version_that_can_not_be_installed_ends_with_1(gated):
    """Requirements that do not install are the version's failure."""
    gated.world.at["build"] = InstallError("no matching distribution for nothing==9", log="x")
    assert gated.run().ret == 1
    assert gated.outcomes()["environment.install"] == "failed"
    assert gated.outcomes()["environment.load"] == "inconclusive"


def test_an_inconclusive_check_ends_with_20_and_shows_as_its_own_status(gated):
    """`I`, and "1 inconclusive" among pytest's counts."""
    gated.policy("rules", "own_checks: [acceptance/]")
    gated.acceptance("mlgate_record(Finding(outcome=Outcome.INCONCLUSIVE, reason='too few rows'))")
    result = gated.run()
    assert result.ret == 20
    result.stdout.fnmatch_lines(["*test_rules.py I *", "*, 1 inconclusive*"])
    assert gated.evidence().verdict.outcome == "inconclusive"
    assert gated.last_line(result).startswith("models:/churn/1: inconclusive (unsigned): rules.one: too few rows")
    result = gated.run("-v")
    result.stdout.fnmatch_lines(["*test_one INCONCLUSIVE *"])


def test_nothing_collected_ends_with_20(gated):
    """Nothing ran: nothing is known of the model."""
    result = gated.run("-k", "nothing_is_called_this")
    assert result.ret == 20
    assert gated.evidence().verdict.outcome == "inconclusive"


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("models:/churn", "is not a model URI"),
        ("churn/3", "no model URI and no directory"),
        ("", "is not a model URI"),
        ("models:/nobody/1", "no registered model 'nobody'"),
        ("models:/churn/99", "there is no models:/churn/99"),
        ("models:/churn@gold", "there is no models:/churn@gold"),
        ("runs:/abc/model", "there is no runs:/abc/model"),
        ("models:/m-123", "there is no models:/m-123"),
    ],
)
def test_a_wrong_uri_is_refused_with_one_line(gated, uri, said):
    """Exit 4, one line, nothing written."""
    assert said in gated.refusal(gated.run(uri=uri))


def test_a_directory_without_a_model_is_refused_with_one_line(gated):
    """A folder that is no model directory."""
    (gated.pytester.path / "empty").mkdir()
    assert "MLmodel" in gated.refusal(gated.run(uri=str(gated.pytester.path / "empty")))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("colour: red", "colour is not a key"),
        ("rollout: {}", "not built yet"),
        ("model: other", "the policy is for model 'other', not 'churn'"),
        ("own_checks: [nowhere/]", "does not exist"),
        ("runtime: [", "not YAML"),
    ],
)
def test_a_wrong_policy_is_refused_with_one_line(gated, more, said):
    """Exit 4 before anything is started."""
    gated.policy(more=more)
    assert said in gated.refusal(gated.run())


ACCURACY = "accuracy: {data: rows.csv, label: LABEL, prediction: score, metrics: {rmse: {max: 1}}}"


@pytest.mark.parametrize(
    ("rows", "label", "said"),
    [(None, "truth", "rows.csv"), ("age,visits,truth\n1.0,1.0,0.5\n", "churned", "churned"), ("", "truth", "rows.csv")],
)
def test_missing_data_is_refused_with_one_line(gated, rows, label, said):
    """A file that is not there, holds nothing, or lacks the label column."""
    gated.policy("accuracy", ACCURACY.replace("LABEL", label))
    if rows is not None:
        (gated.pytester.path / "rows.csv").write_text(rows)
    assert said in gated.refusal(gated.run())


@pytest.mark.parametrize("point", ["resolve", "fetch", "running"])
def test_a_registry_that_is_down_ends_with_3(gated, point):
    """The registry is gone before anything was measured."""
    gated.world.at[point] = GONE
    result = gated.run()
    assert result.ret == 3
    text = result.outlines + result.errlines
    assert [line for line in text if "http://nowhere does not answer" in line]
    assert not [line for line in text if "Traceback" in line or "INTERNALERROR" in line]
    assert gated.world.registry.runs() == ()


@pytest.mark.parametrize("point", ["publish", "tags"])
def test_a_registry_that_is_gone_at_the_end_ends_with_3_and_the_files_stay(gated, point):
    """What was measured is kept on this machine; the version does not read passed."""
    gated.world.at[point] = GONE
    result = gated.run()
    assert result.ret == 3
    result.stdout.fnmatch_lines(["mlgate: the registry at http://nowhere does not answer", "report: *"])
    assert gated.evidence().verdict.outcome == "passed"
    assert gated.tags()["mlgate.status"].startswith("running since")


@pytest.mark.parametrize("point", ["guard", "build"])
def test_an_engine_that_is_gone_ends_with_3(gated, point):
    """No engine: neither a verdict nor evidence."""
    gated.world.at[point] = EngineError("the container engine does not answer")
    result = gated.run()
    assert result.ret == 3
    assert [line for line in result.outlines + result.errlines if "the container engine does not answer" in line]
    assert gated.world.registry.runs() == ()
    assert not (gated.pytester.path / ".mlgate/churn-1/evidence.json").exists()
    assert gated.tags().get("mlgate.status") in (None, "not finished")


def test_another_failing_test_ends_with_1(gated):
    """The model passed; a test of the user's own on the same command line did not."""
    gated.pytester.makepyfile(test_own="def test_own(): assert 1 == 2")
    result = gated.run("test_own.py")
    assert result.ret == 1
    assert gated.evidence().verdict.outcome == "passed"
    assert "test_own" not in "".join(gated.outcomes())


def test_another_failing_test_beside_an_undecided_verdict_ends_with_1(gated):
    """A plain failure is a plain failure."""
    gated.policy("rules", "own_checks: [acceptance/]")
    gated.acceptance("mlgate_record(Finding(outcome=Outcome.INCONCLUSIVE, reason='too few rows'))")
    gated.pytester.makepyfile(test_own="def test_own(): assert 1 == 2")
    assert gated.run("test_own.py").ret == 1
    assert gated.evidence().verdict.outcome == "inconclusive"


def test_a_failing_check_of_a_suite_that_is_not_required_ends_with_1(gated):
    """It does not stand against the version, and the run says that something failed."""
    gated.policy("schema", "own_checks: [acceptance/]")
    gated.acceptance("mlgate_record(Finding(outcome=Outcome.FAILED, reason='too slow'))")
    assert gated.run().ret == 1
    assert gated.evidence().verdict.outcome == "passed"
