"""What the commands share for writing: a file is there as a whole, or not at all."""

import resource

import pytest

from mlgate.cli import app
from mlgate.cli.console import write_whole
from mlgate.errors import OutputError


@pytest.fixture
def little_room():
    """No file of this process can be longer than 1 000 bytes: what a full disk does, without one."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_file_that_finds_no_room_leaves_the_one_before(tmp_path, little_room):
    """And nothing beside it."""
    path = tmp_path / "report.html"
    write_whole(path, b"old")
    with pytest.raises(OutputError, match="can not be written"):
        write_whole(path, b"x" * 1001)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_init_leaves_no_empty_policy_where_there_is_no_room(tmp_path, monkeypatch, capsys, little_room):
    """An empty mlgate.yaml is a policy: the built-in one, by accident."""
    monkeypatch.chdir(tmp_path)
    assert app.run(["init"]) == 2
    assert list(tmp_path.iterdir()) == []
    assert capsys.readouterr().err.startswith("mlgate: mlgate.yaml: can not be written (File too large)")


def test_a_link_is_written_through_and_a_file_may_be_kept(tmp_path):
    """As any other program does; with the rights that any other new file gets."""
    real, link, plain = tmp_path / "real", tmp_path / "link", tmp_path / "plain"
    real.write_bytes(b"old")
    link.symlink_to(real)
    plain.touch()
    write_whole(link, b"new")
    assert link.is_symlink()
    assert real.read_bytes() == b"new"
    assert real.stat().st_mode == plain.stat().st_mode
    with pytest.raises(FileExistsError):
        write_whole(real, b"other", over=False)
    with pytest.raises(FileExistsError):
        write_whole(link, b"other", over=False)
    with pytest.raises(OutputError, match="Is a directory"):
        write_whole(tmp_path, b"other")
    assert real.read_bytes() == b"new"
    assert len(list(tmp_path.iterdir())) == 3
