"""The root digest is the one that OpenSSF model-signing computes and signs."""

import hashlib

import model_signing
import pytest
from hypothesis import given
from hypothesis import strategies as st
from model_signing._signing.signing import Payload

from mlgate.artifacts.directory import digest_files, walk
from mlgate.attest.root_digest import in_order, root_digest
from mlgate.evidence import FileEntry

FILES = {
    "MLmodel": b"flavors: {}\n",
    "a-b/model.pkl": b"1",
    "a/model.pkl": b"2",
    "a/b/c/deep.bin": b"3" * 100_000,
    "a.txt": b"",
    "Z": b"4",
    "ä/ö.json": b"5",
}


def theirs(folder):
    """The subject of the statement that model-signing would sign for *folder*, with nothing ignored."""
    manifest = model_signing.hashing.Config().set_ignored_paths(paths=[], ignore_git_paths=False).hash(folder)
    return Payload(manifest).statement.pb


def test_the_root_digest_is_the_subject_that_model_signing_signs(tmp_path):
    """Of a directory on disk, hashed by both."""
    for name, content in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    entries = digest_files(tmp_path, walk(tmp_path))
    statement = theirs(tmp_path)
    assert statement.subject[0].digest["sha256"] == root_digest(entries)
    resources = statement.predicate["resources"]
    assert [(item["name"], item["digest"]) for item in resources] == [
        (file.path, file.sha256) for file in in_order(entries)
    ]


segments = st.text("ab-./Z_0é", min_size=1, max_size=3).filter(lambda part: "/" not in part and part not in {".", ".."})
paths = st.lists(segments, min_size=1, max_size=3).map("/".join)


@given(st.sets(paths, min_size=1, max_size=6), st.randoms())
def test_the_order_of_names_is_model_signings_whatever_they_are(names, random):
    """A path sorts part by part, which is not how text sorts."""
    from model_signing import manifest
    from model_signing._hashing import hashing

    entries = [FileEntry(path=name, size=1, sha256=hashlib.sha256(name.encode()).hexdigest()) for name in names]
    random.shuffle(entries)
    items = [
        manifest.FileManifestItem(path=entry.path, digest=hashing.Digest("sha256", bytes.fromhex(entry.sha256)))
        for entry in entries
    ]
    made = manifest.Manifest("m", items, manifest._FileSerialization("sha256"))
    assert [item.identifier for item in made.resource_descriptors()] == [file.path for file in in_order(entries)]
    assert Payload(made).statement.pb.subject[0].digest["sha256"] == root_digest(entries)


def test_a_changed_byte_changes_the_root_digest():
    """The test above can fail."""
    one, other = (FileEntry(path="MLmodel", size=1, sha256=digit * 64) for digit in "01")
    assert root_digest([one]) != root_digest([other])


@pytest.mark.parametrize("sha256", ["", "0" * 63, "A" * 64, "0" * 62 + " 0", "0" * 64 + "\n"])
def test_what_is_no_digest_is_refused(sha256):
    """Hex with spaces would read as bytes too."""
    with pytest.raises(ValueError, match="64 digits"):
        root_digest([FileEntry(path="MLmodel", size=1, sha256=sha256)])
