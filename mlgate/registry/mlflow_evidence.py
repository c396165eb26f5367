"""A gate run's evidence and a waiver, as an artifact store of MLflow holds it."""

import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

from mlgate.registry import tags as keys
from mlgate.registry.interface import WAIVER_FILE, StoredEvidence, StoredWaiver
from mlgate.registry.mlflow_envelope import read_envelope
from mlgate.registry.mlflow_flat import entry_of

MAX_EVIDENCE_BYTES = 64 * 1024 * 1024


def stored_evidence(store: Any, run: Any) -> StoredEvidence | None:
    """Return a run's evidence; `None` where it has none. A store that does not answer is an error, not "none".

    One that is over `MAX_EVIDENCE_BYTES` comes back empty, which no gate takes: an error here would let whoever can
    log a run hide everybody's.

    Args:
        store: Artifacts of the run, `list_artifacts` and `_download_file`; `blocks` where it can stream.
        run: Of MLflow's client, or of `RestClient`.
    """
    name = f"{keys.FOLDER}/{keys.EVIDENCE_FILE}"
    with tempfile.TemporaryDirectory(prefix="mlgate-") as folder:
        target = Path(folder) / keys.EVIDENCE_FILE
        try:
            raw = _bounded(store, name, target)
        except Exception:
            if entry_of(store, name) is not None:
                raise
            return None
        return StoredEvidence(
            run_id=str(run.info.run_id),
            raw=raw,
            claimed_digest=run.data.tags.get(keys.EVIDENCE),
            envelope=read_envelope(store, Path(folder)),
        )


def _bounded(store: Any, name: str, target: Path) -> bytes:
    """Return a file's bytes, empty where they are too many; where the store streams, no more than those are read."""
    if (blocks := getattr(store, "blocks", None)) is None:
        store._download_file(name, str(target))  # noqa: SLF001 - the method MLflow asks its plugins to write
        return target.read_bytes() if target.stat().st_size <= MAX_EVIDENCE_BYTES else b""
    raw = bytearray()
    with closing(blocks(name)) as found:
        for block in found:
            raw += block
            if len(raw) > MAX_EVIDENCE_BYTES:
                return b""
    return bytes(raw)


def stored_waiver(store: Any, run: Any) -> StoredWaiver | None:
    """Return a run's waiver; `None` where it has none. As for `stored_evidence`."""
    with tempfile.TemporaryDirectory(prefix="mlgate-") as folder:
        envelope = read_envelope(store, Path(folder), (WAIVER_FILE,))
    return None if envelope is None else StoredWaiver(run_id=str(run.info.run_id), envelope=envelope)
