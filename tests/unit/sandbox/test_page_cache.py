"""Dropping a model's files from the page cache: advice that harms nothing and never hangs."""

import os

from mlgate.sandbox.page_cache import forget


def test_files_are_as_they_were(tmp_path):
    """Also those that were written just now, and those in folders."""
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "weights").write_bytes(b"x" * 300_000)
    assert forget(tmp_path)
    assert (tmp_path / "inner" / "weights").read_bytes() == b"x" * 300_000


def test_what_is_no_file_is_not_opened(tmp_path):
    """A pipe would wait for its other end, a link may lead anywhere."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/zero")
    (tmp_path / "nowhere").symlink_to("gone")
    assert forget(tmp_path)


def test_a_file_that_can_not_be_opened_is_said(tmp_path, monkeypatch):
    """Then nobody may call the next start cold."""
    (tmp_path / "weights").touch()

    def refuse(*_):
        raise PermissionError

    monkeypatch.setattr(os, "open", refuse)
    assert not forget(tmp_path)
