"""The folder of regressions: every file of it is a saved failure, or the policy is wrong."""

import pytest

from mlgate.errors import ConfigError, PolicyError
from mlgate.policy_file import load_policy
from mlgate.regressions import read_regressions, read_saved, regression_files
from tests.unit.test_failure import failure


@pytest.fixture
def folder(tmp_path):
    """A folder with one saved failure, one deeper, and hidden files."""
    home = tmp_path / "failures"
    (home / "old").mkdir(parents=True)
    (home / "b.json").write_bytes(failure().to_bytes())
    (home / "old/a.json").write_bytes(failure(seed=1).to_bytes())
    (home / ".gitkeep").write_text("")
    (home / ".git").mkdir()
    (home / ".git/config").write_text("")
    return home


def test_every_file_is_read_under_its_name(folder):
    """At any depth; hidden files are the version control's."""
    found = read_regressions(folder, name="failures")
    assert list(found) == ["failures/b.json", "failures/old/a.json"]
    assert found["failures/old/a.json"].seed == 1


@pytest.mark.parametrize("text", ["", "notes", "{}", '{"format": "mlgate-evidence/1"}'])
def test_a_file_that_is_no_saved_failure_is_a_policy_error(folder, text):
    """Never skipped: somebody thinks that it is tried."""
    (folder / "notes.md").write_text(text)
    with pytest.raises(PolicyError, match=r"properties\.regressions: failures/notes\.md: "):
        read_regressions(folder, name="failures")


def test_a_file_that_can_not_be_read_is_a_policy_error(folder, monkeypatch):
    """Also where the folder can be listed."""

    def refuse(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.read_bytes", refuse)
    with pytest.raises(PolicyError, match=r"failures/b\.json can not be read \(Permission denied\)"):
        read_regressions(folder, name="failures")


def test_a_folder_that_is_not_there_is_a_policy_error(tmp_path):
    """Nothing would be tried."""
    with pytest.raises(PolicyError, match="failures is no folder"):
        read_regressions(tmp_path / "failures", name="failures")


def test_a_file_to_replay_is_named_where_it_can_not_be_read(tmp_path):
    """One line, and no traceback."""
    with pytest.raises(ConfigError, match=r"nowhere\.json: can not be read"):
        read_saved(tmp_path / "nowhere.json")


def test_the_files_are_part_of_the_policys_digest(folder, tmp_path):
    """A failure that is added or changed makes it another policy; a hidden file does not."""
    path = tmp_path / "mlgate.yaml"
    path.write_text("properties: {regressions: failures}\n")
    digests = [load_policy(path).digest]
    (folder / ".gitkeep").write_text("more")
    assert load_policy(path).digest == digests[0]
    (folder / "b.json").write_bytes(failure(seed=2).to_bytes())
    digests.append(load_policy(path).digest)
    (folder / "c.json").write_bytes(failure().to_bytes())
    digests.append(load_policy(path).digest)
    (folder / "c.json").rename(folder / "d.json")
    digests.append(load_policy(path).digest)
    assert len(set(digests)) == 4


def test_a_policy_without_the_folder_has_the_digest_that_it_had(tmp_path):
    """Evidence of before stays what it was."""
    path = tmp_path / "mlgate.yaml"
    path.write_text("properties: {examples: 100}\n")
    assert load_policy(path).regressions is None
    assert regression_files(tmp_path / "nowhere") == ()
