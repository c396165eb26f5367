"""pytest-rerunfailures: a check that passes at the second try did not pass."""

import pytest

FLAKY = """
    import pathlib
    seen = pathlib.Path('seen')
    first = not seen.exists()
    seen.touch()
    FIRST
    mlgate_record(PASSED)
"""


@pytest.mark.parametrize(
    "first", ["assert not first", "if first: mlgate_record(Finding(outcome=Outcome.FAILED, reason='no'))"]
)
def test_a_flaky_check_is_not_passed_by_a_rerun(gated, first):
    """`--reruns 2`: failed once is not passed, whether it raised or recorded a failure."""
    gated.policy("rules", "own_checks: [acceptance/]")
    gated.acceptance(FLAKY.replace("FIRST", first).strip())
    result = gated.run("--reruns", "2")
    assert result.ret in (1, 20)
    assert gated.evidence().verdict.outcome in ("failed", "inconclusive")
    result.stdout.fnmatch_lines(["*rules.one*", "*a rerun does not make a pass*"])


def test_a_flaky_fixture_of_a_check_is_not_passed_by_a_rerun(gated):
    """An error before the check itself counts as well."""
    gated.policy("rules", "own_checks: [acceptance/]")
    gated.acceptance()
    gated.pytester.makeconftest(
        """
        import pytest
        tries = []
        @pytest.fixture(autouse=True)
        def flaky(request):
            tries.append(request.node.name)
            assert request.node.name != "test_one" or tries.count("test_one") > 1
        """
    )
    assert gated.run("--reruns", "2").ret == 20
    assert gated.outcomes()["rules.one"] == "errored"


def test_a_healthy_run_under_reruns_stays_passed(gated):
    """The option alone disturbs nothing."""
    assert gated.run("--reruns", "2").ret == 0


def test_a_flaky_test_that_is_no_check_may_be_rerun(gated):
    """What is not mlgate's is judged as pytest judges it."""
    gated.pytester.makepyfile(
        test_own="""
        tries = []
        def test_own():
            tries.append(1)
            assert len(tries) > 1
        """
    )
    assert gated.run("--reruns", "2", "test_own.py").ret == 0
