"""--mlgate-output: where the files end up."""

import pytest


@pytest.mark.parametrize("below", ["file", "file/out", "file/a/b"])
def test_a_folder_that_can_not_be_written_is_refused_before_anything_starts(gated, below):
    """Root may write anywhere but below a regular file."""
    (gated.pytester.path / "file").write_text("mine")
    assert "can not be written" in gated.refusal(gated.run("--mlgate-output", below))
    assert gated.world.works == []
    assert (gated.pytester.path / "file").read_text() == "mine"


def test_files_of_the_user_stay_untouched(gated):
    """Only what a run writes is replaced."""
    out = gated.pytester.path / "out"
    (out / "notes").mkdir(parents=True)
    (out / "notes/mine.txt").write_text("mine")
    (out / "README.md").write_text("mine too")
    (out / "evidence.json").write_text("an older one")
    assert gated.run("--mlgate-output", "out").ret == 0
    assert (out / "notes/mine.txt").read_text() == "mine"
    assert (out / "README.md").read_text() == "mine too"
    assert gated.evidence("out").verdict.outcome == "passed"
    assert not (gated.pytester.path / ".mlgate").exists()


def test_the_failures_of_an_earlier_run_are_gone_after_a_good_one(gated):
    """Yesterday's failing example beside today's pass would be a lie."""
    gated.policy("schema, properties")
    gated.register("raises")
    gated.register("good")
    assert gated.run("--mlgate-output", "out").ret == 1
    assert (gated.pytester.path / "out/failures").is_dir()
    assert gated.run("--mlgate-output", "out", uri="models:/churn/2").ret == 0
    assert not (gated.pytester.path / "out/failures").exists()
