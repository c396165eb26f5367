"""A run of a good model: what it leaves and what it says."""

import xml.etree.ElementTree as ET

import pytest

FILES = ["evidence.json", "junit.xml", "policy.yaml", "report.html", "report.md"]


@pytest.fixture
def good(gated):
    """A finished run of a good model."""
    gated.policy("schema, properties")
    result = gated.run()
    assert result.ret == 0
    return gated, result


def test_a_good_run_leaves_every_file_and_canonical_evidence(good):
    """The output folder holds what the design lists, and the evidence is in canonical form."""
    gated, _ = good
    output = gated.pytester.path / ".mlgate/churn-1"
    assert sorted(path.name for path in output.iterdir() if not path.name.startswith(".")) == FILES
    evidence = gated.evidence()
    assert evidence.canonical() == (output / "evidence.json").read_bytes()
    assert evidence.complete
    assert evidence.verdict.outcome == "passed"
    assert evidence.champion is None
    deciding = [check for check in evidence.checks() if not check.finding.details.get("advisory")]
    assert {check.outcome for check in deciding} == {"passed"}
    assert set(evidence.suites) == {"environment", "schema", "properties"}
    assert (output / "policy.yaml").read_text() == (gated.pytester.path / "mlgate.yaml").read_text()


def test_what_decides_nothing_is_shown_last_and_as_advice(good):
    """What MLflow's own server lets through stands below the checks that count, and is no failure."""
    gated, result = good
    lines = [line for line in result.stdout.lines if line.startswith(("passed ", "failed ", "advice "))]
    words = [line.split()[0] for line in lines]
    assert words == sorted(words, key=["failed", "passed", "advice"].index)
    assert "failed" not in words
    assert any("schema.leak" in line for line in lines if line.startswith("advice"))
    assert gated.evidence().check("schema.leak").outcome == "failed"
    assert gated.tags()["mlgate.suite.schema"] == "passed"


def test_junit_names_each_check_once(good):
    """junit.xml has one test case of a unique name for each check of the evidence."""
    gated, _ = good
    cases = list(ET.parse(gated.pytester.path / ".mlgate/churn-1/junit.xml").getroot().iter("testcase"))
    names = [(case.get("classname"), case.get("name")) for case in cases]
    assert len(set(names)) == len(names) == len(gated.evidence().checks())
    assert {name for name, _ in names} == {"mlgate.environment", "mlgate.schema", "mlgate.properties"}


def test_the_run_is_published_and_the_status_tag_comes_last(good):
    """Running first; then the evidence, then the details, then the verdict, then the description."""
    gated, _ = good
    writes = gated.world.registry.writes
    assert "mlgate.status = running since" in writes[0]
    assert writes[1].startswith("run ")
    assert writes[-2] == "tag models:/churn/1 mlgate.status = passed"
    assert writes[-1] == "description models:/churn/1"
    (run,) = gated.world.registry.runs()
    assert set(FILES) <= set(run.files)
    assert run.files["evidence.json"] == gated.evidence().canonical()
    assert gated.tags()["mlgate.evidence"] == gated.evidence().digest
    version = gated.world.registry._models["churn"]["1"]
    assert version.description.startswith("mlgate: passed ")


def test_a_rerun_converges(good):
    """The same run again gives the same seed, the same outcomes and one description block."""
    gated, _ = good
    before, seed = gated.outcomes(), gated.evidence().seed
    assert gated.run().ret == 0
    assert (gated.outcomes(), gated.evidence().seed) == (before, seed)
    assert len(gated.world.registry.runs()) == 2
    assert gated.world.registry._models["churn"]["1"].description.count("mlgate: ") == 1


def test_the_header_says_what_is_tested(good):
    """Model, digest, champion, policy, sandbox and seed stand at the top."""
    gated, result = good
    result.stdout.fnmatch_lines(
        [
            "mlgate: models:/churn/1 sha256:*, champion none",
            f"mlgate: policy *mlgate.yaml sha256:*, sandbox container, seed {gated.evidence().seed}",
        ]
    )


def test_the_table_lists_each_check_and_the_verdict_is_the_last_line(good):
    """What is read first in a job log is its end."""
    gated, result = good
    result.stdout.fnmatch_lines(["*= mlgate =*", "passed       environment.install", "report: *report.html"])
    for key in gated.outcomes():
        assert f"passed       {key}" in "\n".join(result.outlines)
    assert gated.last_line(result) == "models:/churn/1: passed (unsigned): every required check passed"


@pytest.mark.parametrize("options", [("-q",), ("-v",), ("-ra",), ("-qq",)])
def test_the_verdict_is_last_whatever_pytest_prints(gated, options):
    """Also under the user's own verbosity."""
    result = gated.run(*options)
    assert result.ret == 0
    assert gated.last_line(result).startswith("models:/churn/1: passed ")


def test_a_run_without_the_terminal_is_judged_all_the_same(gated):
    """`-p no:terminal` takes the words and not the verdict."""
    assert gated.run("-p", "no:terminal").ret == 0
    assert gated.evidence().verdict.outcome == "passed"
    assert gated.tags()["mlgate.status"] == "passed"


def test_a_directory_is_tested_and_never_tagged(gated):
    """A model directory is judged; nothing is written to the registry."""
    folder = gated.models("good")
    assert gated.run("--mlgate-output", "out", uri=str(folder)).ret == 0
    assert gated.evidence("out").subject.name is None
    assert gated.world.registry.writes == []


def test_each_check_has_a_readable_place(gated):
    """Node ids name suite and check, wherever the package is installed."""
    result = gated.run("-v")
    result.stdout.fnmatch_lines(
        ["mlgate_suites/environment.py::test_load PASSED *", "mlgate_suites/schema.py::test_rejects[[]word[]] PASSED *"]
    )


def test_checks_run_in_the_policys_order(gated):
    """The logged example comes before requests that are meant to hurt."""
    result = gated.run("-v")
    ran = [line for line in result.outlines if "PASSED" in line]
    names = ("test_signature", "test_example", "test_output", "test_rejects", "test_alive")
    places = [next(index for index, line in enumerate(ran) if f"::{name}" in line) for name in names]
    assert places == sorted(places)
