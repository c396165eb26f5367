"""--mlgate-suite: a partial run."""


def test_a_partial_run_judges_what_was_asked_and_admits_nothing(gated):
    """PARTIAL is printed, no tag and no run is written, and the evidence is not complete."""
    gated.policy("schema, properties")
    result = gated.run("--mlgate-suite", "schema")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["mlgate: PARTIAL: only schema; writes no tags, admits nothing"])
    assert gated.last_line(result) == "models:/churn/1: passed (PARTIAL, unsigned): every required check passed"
    assert gated.world.registry.writes == []
    assert gated.evidence().complete is False
    assert set(gated.evidence().suites) == {"environment", "schema"}


def test_a_partial_run_of_a_failing_suite_fails(gated):
    """The environment is always judged, and the suite that was asked for."""
    gated.policy("schema, properties")
    gated.register("raises")
    assert gated.run("--mlgate-suite", "properties").ret == 1
    assert gated.run("--mlgate-suite", "schema").ret in (0, 1)
    assert gated.world.registry.writes == []


def test_every_suite_named_is_a_whole_run(gated):
    """Naming each required suite is no less than naming none."""
    gated.policy("schema, properties")
    result = gated.run("--mlgate-suite", "schema", "--mlgate-suite", "properties")
    assert result.ret == 0
    result.stdout.no_fnmatch_line("*PARTIAL*")
    assert gated.evidence().complete is True
    assert gated.tags()["mlgate.status"] == "passed"


def test_own_checks_of_other_suites_do_not_run_in_a_partial_run(gated):
    """Only these suites."""
    gated.policy("schema, rules", "own_checks: [acceptance/]")
    gated.acceptance("assert False")
    assert gated.run("--mlgate-suite", "schema").ret == 0
    assert set(gated.evidence().suites) == {"environment", "schema"}


def test_a_suite_of_the_users_own_can_be_asked_for(gated):
    """Its checks run, and the packaged ones do not."""
    gated.policy("schema, rules", "own_checks: [acceptance/]")
    gated.acceptance()
    assert gated.run("--mlgate-suite", "rules").ret == 0
    assert set(gated.evidence().suites) == {"environment", "rules"}


def test_an_unknown_suite_is_refused_with_one_line(gated):
    """A misspelt suite is no suite that passed."""
    line = gated.refusal(gated.run("--mlgate-suite", "schemas"))
    assert "--mlgate-suite schemas: no such suite" in line
    assert "properties" in line


def test_accuracy_without_data_is_refused_with_one_line(gated):
    """A suite that has nothing to judge by."""
    assert "no accuracy.metrics" in gated.refusal(gated.run("--mlgate-suite", "accuracy"))
