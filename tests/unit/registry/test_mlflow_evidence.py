"""A run's evidence: read within bounds, and "none" only where the store says so."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from mlflow.entities import FileInfo

from mlgate.registry import mlflow_evidence
from mlgate.registry.mlflow_evidence import stored_evidence

RUN = SimpleNamespace(info=SimpleNamespace(run_id="r"), data=SimpleNamespace(tags={}))


class Store:
    """An artifact repository that hands out whole files."""

    def __init__(self, content):
        self.content = content

    def list_artifacts(self, path):
        return [] if self.content is None else [FileInfo(f"{path}/evidence.json", False, None)]

    def _download_file(self, name, target):
        if self.content is None:
            raise OSError("HTTP 404")
        Path(target).write_bytes(self.content)


class Stream(Store):
    """One that hands out blocks, and counts them."""

    sent = 0

    def blocks(self, name):
        for byte in self.content:
            self.sent += 1
            yield bytes([byte])


@pytest.mark.parametrize("kind", [Store, Stream])
def test_one_that_is_too_large_is_empty_and_hides_no_other_run(monkeypatch, kind):
    """An error would let whoever can log a run keep every version of the model from being promoted."""
    monkeypatch.setattr(mlflow_evidence, "MAX_EVIDENCE_BYTES", 10)
    assert stored_evidence(kind(b"x" * 11), RUN).raw == b""
    assert stored_evidence(kind(b"x" * 10), RUN).raw == b"x" * 10


def test_a_stream_without_end_is_not_read_to_its_end(monkeypatch):
    """Neither into memory nor onto the disk."""
    monkeypatch.setattr(mlflow_evidence, "MAX_EVIDENCE_BYTES", 10)
    store = Stream(b"x" * 1000)
    assert stored_evidence(store, RUN).raw == b""
    assert store.sent == 11


def test_none_is_none_and_a_store_that_does_not_answer_is_an_error():
    """Read as "none", it would bring an older pass back."""
    assert stored_evidence(Store(None), RUN) is None
    store = Store(None)
    store.list_artifacts = lambda path: [FileInfo(f"{path}/evidence.json", False, None)]
    with pytest.raises(OSError, match="404"):
        stored_evidence(store, RUN)
