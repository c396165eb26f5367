"""properties.regressions: saved failures are tried at every run, or the run does not start."""

import pytest

from mlgate.failure import read_failure
from tests.unit.test_failure import failure


@pytest.fixture
def kept(raised):
    """A project whose policy keeps the failure of a version that raises above fifty."""
    gated, path = raised
    folder = gated.pytester.path / "known"
    folder.mkdir()
    (folder / "old.json").write_bytes(path.read_bytes())
    text = gated.policy("properties").read_text()
    (gated.pytester.path / "mlgate.yaml").write_text(text.replace("examples: 40", "examples: 40, regressions: known"))
    return gated, folder


def finding(gated, key="properties.total"):
    return next(check.finding for check in gated.evidence().checks() if check.key == key)


def test_a_version_that_still_fails_is_refused_by_the_file(kept):
    """The reason names it."""
    gated, _ = kept
    assert gated.run().ret == 1
    assert finding(gated).reason.startswith("known/old.json: still failing: a valid row: raises: ValueError")


def test_a_version_that_is_fixed_passes_and_the_evidence_counts_the_file(kept):
    """It was tried, beside what is generated."""
    gated, _ = kept
    gated.register("good")
    assert gated.run(uri="models:/churn/2").ret == 0
    evidence = next((gated.pytester.path / ".mlgate/churn-2").glob("evidence.json")).read_bytes()
    assert b'"replayed":1' in evidence


@pytest.mark.parametrize(
    ("name", "raw", "said"),
    [
        ("notes.txt", b"remember", "known/notes.txt: not JSON"),
        ("other.json", failure(check="properties.never", suite="properties").to_bytes(), "known/other.json is of properties.never, which is no check here"),
        ("own.json", failure(check="rules.never", suite="rules").to_bytes(), "known/own.json is of rules.never, which is no check here"),
    ],
)  # fmt: skip
def test_a_file_that_nothing_would_try_is_refused(kept, name, raw, said):
    """Never skipped silently."""
    gated, folder = kept
    (folder / name).write_bytes(raw)
    run = gated.run()
    assert run.ret == 4
    assert said in "\n".join(run.outlines + run.errlines)


def test_a_partial_run_leaves_the_files_of_other_suites_alone(kept):
    """They are tried when their suite runs."""
    gated, _ = kept
    path = gated.pytester.path / "mlgate.yaml"
    path.write_text(path.read_text().replace("requires: [properties]", "requires: [schema, properties]"))
    gated.register("good")
    assert gated.run("--mlgate-suite=schema", uri="models:/churn/2").ret == 0


def test_a_file_of_a_check_that_does_not_search_is_errored(kept):
    """The check came to its end, and the file was not tried."""
    gated, folder = kept
    (folder / "old.json").write_bytes(failure(check="schema.signature", suite="schema").to_bytes())
    path = gated.pytester.path / "mlgate.yaml"
    path.write_text(path.read_text().replace("requires: [properties]", "requires: [schema]"))
    gated.register("good")
    assert gated.run(uri="models:/churn/2").ret == 20
    text = (gated.pytester.path / ".mlgate/churn-2/evidence.json").read_text()
    assert "known/old.json was not tried again" in text


def test_a_missing_folder_is_refused(kept):
    """One line."""
    gated, folder = kept
    (folder / "old.json").unlink()
    folder.rmdir()
    assert "known is no folder" in gated.refusal(gated.run())


def test_the_saved_file_is_the_one_that_a_reader_finds(kept):
    """What was kept is a saved failure as any."""
    _, folder = kept
    assert read_failure((folder / "old.json").read_bytes(), name="x").check == "properties.total"
