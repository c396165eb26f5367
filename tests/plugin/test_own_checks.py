"""Checks of the user's own: `own_checks` in the policy, and the marker."""

import pytest


@pytest.fixture
def own(gated):
    """A project whose policy requires the schema suite and a suite of its own."""
    gated.policy("schema, rules", "own_checks: [acceptance/]")
    return gated


def test_own_checks_are_judged_under_their_suite(own):
    """They run against the served model, and stand in the evidence."""
    own.acceptance("mlgate_record(Finding(outcome=Outcome.PASSED, reason='fine', measured=1.5, n=3))")
    assert own.run().ret == 0
    (check,) = own.evidence().suites["rules"].checks
    assert (check.id, check.finding.measured, check.finding.n) == ("rules.one", 1.5, 3)
    assert own.tags()["mlgate.suite.rules"] == "passed"


def test_a_required_suite_of_the_users_own_without_checks_is_never_passed(own):
    """Nothing was judged under the name that the policy requires."""
    own.acceptance(id_="other.one", suite="other")
    assert own.run().ret == 20
    assert own.evidence().verdict.outcome == "inconclusive"


def test_a_finding_neither_clears_the_terminal_nor_forges_a_line(own):
    """Its words may be the model's own: in the traceback, in the table and in the verdict."""
    words = "reason='12 s\\x1b[2J\\x1b[H', advice='a\\x1b[2J\\nforged', details={'example': '\\x1b[2J\\nforged'}"
    own.acceptance(f"mlgate_record(Finding(outcome=Outcome.FAILED, {words}))")
    result = own.run()
    assert result.ret == 1
    assert "\x1b[2J" not in result.stdout.str() + result.stderr.str()
    assert "forged" not in result.outlines
    result.stdout.fnmatch_lines([r"*12 s\x1b[[]2J\x1b[[]H*"])


def test_own_checks_get_fixtures_and_params(own):
    """A parametrised check is one check per case; the id carries the parameters."""
    (own.pytester.path / "acceptance").mkdir()
    (own.pytester.path / "acceptance/test_regions.py").write_text(
        "import pytest\nfrom mlgate.evidence import Finding, Outcome\n"
        "@pytest.mark.parametrize('region', ['EU', 'north america'])\n"
        "@pytest.mark.parametrize('quantile', [0.5])\n"
        "@pytest.mark.mlgate_check('rules.region', suite='rules')\n"
        "def test_region(region, quantile, mlgate_client, mlgate_inputs, mlgate_record):\n"
        "    answer = mlgate_client.score(mlgate_inputs.sample(3, seed=1))\n"
        "    assert len(answer.rows()) == 3\n"
        "    mlgate_record(Finding(outcome=Outcome.PASSED, reason='fine'))\n"
    )
    assert own.run().ret == 0
    assert [check.key for check in own.evidence().suites["rules"].checks] == [
        "rules.region[quantile=0.5,region=EU]",
        "rules.region[quantile=0.5,region=north%20america]",
    ]


@pytest.mark.parametrize(
    "line",
    ["python_functions = check_*", "python_files = check_*.py", "addopts = --ignore=acceptance", "norecursedirs = acceptance *",
     "addopts = --ignore-glob=*acceptance*", "addopts = --import-mode=importlib"],
)  # fmt: skip
def test_own_checks_are_collected_whatever_the_ini_says(own, line):
    """The policy lists them; a naming rule for other tests does not take them away."""
    own.acceptance()
    (own.pytester.path / "acceptance/deeper").mkdir()
    (own.pytester.path / "acceptance/deeper/test_two.py").write_text(own.own_check(id_="rules.two"))
    own.ini(line)
    assert own.run().ret == 0
    assert {"rules.one", "rules.two"} <= set(own.outcomes())


def test_own_checks_are_collected_whatever_collect_ignore_says(own):
    """Nor does a conftest."""
    own.acceptance()
    own.pytester.makeconftest(
        "collect_ignore = ['acceptance', 'acceptance/test_rules.py']\ncollect_ignore_glob = ['*']"
    )
    assert own.run().ret == 0
    assert own.outcomes()["rules.one"] == "passed"


def test_a_folder_of_own_checks_that_holds_none_is_refused(own):
    """A promise of checks that nothing came of."""
    (own.pytester.path / "acceptance").mkdir()
    (own.pytester.path / "acceptance/test_plain.py").write_text("def test_plain(): pass\n")
    result = own.run()
    assert result.ret == 4
    result.stderr.fnmatch_lines(["ERROR: own_checks: *acceptance holds no check. Hint: *"])


def test_a_test_without_the_marker_is_a_plain_test(own):
    """It runs, its failure is exit 1, and the evidence does not know it."""
    own.acceptance()
    (own.pytester.path / "acceptance/test_plain.py").write_text("def test_plain(): pass\n")
    assert own.run().ret == 0
    (own.pytester.path / "acceptance/test_plain.py").write_text("def test_plain(): assert 0\n")
    assert own.run().ret == 1
    assert own.evidence().verdict.outcome == "passed"
    assert len(own.outcomes()) == own.expected() + 1


def test_recording_without_the_marker_fails_the_test(own):
    """There is no check that the finding could belong to."""
    own.acceptance()
    text = own.own_check().replace("@pytest.mark", "#")
    (own.pytester.path / "acceptance/test_plain.py").write_text(text)
    result = own.run()
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*mlgate_record needs the marker mlgate_check*"])


def test_a_check_that_records_twice_is_never_passed(own):
    """Which of the two would count?"""
    own.acceptance("mlgate_record(PASSED); mlgate_record(PASSED)")
    assert own.run().ret == 20
    assert own.outcomes()["rules.one"] == "errored"


def test_a_check_that_records_a_failure_and_then_a_pass_is_failed(own):
    """The worst of both."""
    body = (
        "try:\n        mlgate_record(Finding(outcome=Outcome.FAILED, reason='no'))\n"
        "    except AssertionError:\n        mlgate_record(PASSED)"
    )
    own.acceptance(body)
    assert own.run().ret == 1
    assert own.outcomes()["rules.one"] == "failed"


def test_a_swallowed_failure_is_failed(own):
    """The finding counts, not the exception that goes with it."""
    own.acceptance(
        "import contextlib\n    with contextlib.suppress(AssertionError): mlgate_record(Finding(outcome=Outcome.FAILED, reason='no'))"
    )
    assert own.run().ret == 1


@pytest.mark.parametrize(
    ("body", "outcome"),
    [("pass", "errored"), ("assert 0", "errored"), ("pytest.skip('later')", "skipped"), ("pytest.xfail('known')", "skipped"),
     ("mlgate_record(PASSED); assert 0", "errored"), ("mlgate_record(PASSED); pytest.skip('later')", "skipped"),
     ("mlgate_record(PASSED); pytest.xfail('known')", "skipped"),
     ("mlgate_record(Finding(outcome=Outcome.SKIPPED, reason='later'))", "errored")],
)  # fmt: skip
def test_a_check_that_records_no_pass_is_never_passed(own, body, outcome):
    """Never recorded, raised, skipped or expected to fail."""
    own.acceptance(body)
    assert own.run().ret == 20
    assert own.outcomes()["rules.one"] == outcome


def test_two_checks_of_one_id_are_refused(own):
    """Ids are unique."""
    own.acceptance()
    own.acceptance(name="test_again.py")
    result = own.run()
    assert result.ret == 4
    result.stderr.fnmatch_lines(["ERROR: *a second check with the id rules.one; ids are unique"])
    assert own.world.registry.runs() == ()


@pytest.mark.parametrize("key", ["schema.output", "environment.load"])
def test_an_own_check_can_not_take_the_place_of_a_packaged_one(own, key):
    """Also where the packaged one was hidden."""
    own.acceptance(id_=key, suite="rules")
    result = own.run()
    assert result.ret == 4
    result.stderr.fnmatch_lines([f"ERROR: *{key} is a check of mlgate's own. Hint: *"])


@pytest.mark.parametrize(
    "marker",
    [
        "mlgate_check()",
        "mlgate_check('rules.one')",
        "mlgate_check('No Id', suite='rules')",
        "mlgate_check('a', 'b', suite='rules')",
    ],
)
def test_a_marker_that_is_not_understood_is_refused(own, marker):
    """A check without an id or a suite would be judged nowhere."""
    own.acceptance()
    path = own.pytester.path / "acceptance/test_rules.py"
    path.write_text(path.read_text().replace("mlgate_check('rules.one', suite='rules')", marker))
    assert own.run().ret == 4
    assert own.world.registry.runs() == ()


def test_the_repositorys_own_tests_are_not_swept_up(gated):
    """Neither testpaths nor the working directory is collected."""
    gated.ini("testpaths = tests")
    for path in (gated.pytester.path / "tests/test_unit.py", gated.pytester.path / "test_here.py"):
        path.parent.mkdir(exist_ok=True)
        path.write_text("def test_unit(): assert 0\n")
    result = gated.run()
    assert result.ret == 0
    result.stdout.no_fnmatch_line("*test_unit*")


def test_paths_of_the_command_line_are_added(gated):
    """A file, a single test, and a folder that is called as a package is."""
    folder = gated.pytester.path / "sklearn"
    folder.mkdir()
    (folder / "test_unit.py").write_text("def test_unit(): pass\ndef test_other(): assert 0\n")
    result = gated.run("sklearn/test_unit.py::test_unit")
    assert result.ret == 0
    result.stdout.fnmatch_lines([f"*{gated.expected() + 1} passed*"])
    assert gated.run("sklearn").ret == 1


def test_a_path_that_is_named_twice_is_collected_once(own):
    """The policy lists the folder, and the user names it too."""
    own.acceptance()
    assert own.run("acceptance").ret == 0
    assert own.run("acceptance/test_rules.py").ret == 0
    assert own.outcomes()["rules.one"] == "passed"


def test_a_marked_test_of_the_command_line_becomes_a_check(gated):
    """It need not be listed; a suite that is not required stands beside the verdict."""
    gated.pytester.makepyfile(test_mine=gated.own_check())
    assert gated.run("test_mine.py").ret == 0
    assert gated.outcomes()["rules.one"] == "passed"


def test_checks_in_classes_are_checks(own):
    """Methods carry the marker, or the class does."""
    (own.pytester.path / "acceptance").mkdir()
    (own.pytester.path / "acceptance/test_class.py").write_text(
        "import pytest\nfrom mlgate.evidence import Finding, Outcome\n"
        "class TestRules:\n"
        "    @pytest.mark.mlgate_check('rules.method', suite='rules')\n"
        "    def test_method(self, mlgate_record):\n"
        "        mlgate_record(Finding(outcome=Outcome.PASSED, reason='fine'))\n"
    )
    assert own.run().ret == 0
    assert own.outcomes()["rules.method"] == "passed"


def test_a_suite_that_the_policy_does_not_require_is_told_before_it_runs(own):
    """It is recorded and decides nothing, which nobody should find out by a failure that was promoted."""
    own.policy("schema", "own_checks: [acceptance/]")
    own.acceptance("mlgate_record(Finding(outcome=Outcome.FAILED, reason='no'))")
    result = own.run()
    line = "mlgate: NOT JUDGED: suite rules is not in requires: its checks are recorded, and decide nothing"
    assert result.outlines.count(line) == 1
    assert own.evidence().verdict.outcome == "passed"
    assert own.outcomes()["rules.one"] == "failed"
    own.policy("schema, rules", "own_checks: [acceptance/]")
    assert "NOT JUDGED" not in own.run().stdout.str()
