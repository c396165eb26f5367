"""A store's listing is checked before a byte is written."""

from types import SimpleNamespace

import pytest

from mlgate.errors import RegistryError
from mlgate.registry.downloads import download


class Store:
    """Lists what the test says, and gives each file four bytes."""

    def __init__(self, listing):
        self.listing = listing
        self.given = []

    def list_artifacts(self, path=None):
        """Return the entries below *path*."""
        return [
            SimpleNamespace(path=name, is_dir=size == "folder", file_size=None if size == "folder" else size)
            for name, size in self.listing.get(path, [])
        ]

    def _download_file(self, remote_file_path, local_path):
        self.given.append(remote_file_path)
        if remote_file_path == "link":
            from pathlib import Path

            Path(local_path).symlink_to("/etc/hostname")
            return
        with open(local_path, "wb") as file:  # noqa: PTH123 - as MLflow does
            file.write(b"four")


def test_files_and_folders_are_downloaded(tmp_path, capsys):
    """Without MLflow's own note, and silently."""
    store = Store({None: [("MLmodel", 4), ("d", "folder"), ("registered_model_meta", 4)], "d": [("d/a b", None)]})
    assert download(store, tmp_path, progress=False) == 2
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")) == ["MLmodel", "d", "d/a b"]
    assert capsys.readouterr() == ("", "")


def test_a_bar_is_shown_when_asked_and_not_on_standard_output(tmp_path, capsys):
    """Standard output belongs to the result."""
    assert download(Store({None: [("MLmodel", 4)]}), tmp_path, progress=True) == 1
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "listing",
    [
        {None: [("../a", 4)]},
        {None: [("/a", 4)]},
        {None: [("", 4)]},
        {None: [(".", "folder")]},
        {None: [("a\nb", 4)]},
        {None: [("a\x1b[0m", 4)]},
        {None: [("a\\b", 4)]},
        {None: [("a//b", 4)]},
        {None: [("..%2fa", 4)]},
        {None: [("a/b", 4)]},
        {None: [("a", 4), ("a", 4)]},
        {None: [(3, 4)]},
        {None: [("d", "folder")], "d": [("e", 4)]},
        {None: [("d", "folder")], "d": [("d/../e", 4)]},
    ],
)
def test_nothing_is_downloaded_where_one_path_is_wrong(listing, tmp_path):
    """Not even the right ones before it."""
    store = Store({**listing, None: [("MLmodel", 4), *listing[None]]})
    with pytest.raises(RegistryError, match="the store lists"):
        download(store, tmp_path, progress=False)
    assert store.given == []
    assert list(tmp_path.iterdir()) == []


def test_an_incomplete_file_is_an_error(tmp_path):
    """A broken connection must not become another model."""
    with pytest.raises(RegistryError, match="incomplete"):
        download(Store({None: [("MLmodel", 5)]}), tmp_path, progress=False)


def test_a_link_instead_of_a_file_is_an_error(tmp_path):
    """Nothing of this machine is read through it."""
    with pytest.raises(RegistryError, match="no regular file"):
        download(Store({None: [("link", None)]}), tmp_path, progress=False)
