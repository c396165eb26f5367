"""A gate run's evidence and a waiver, as an artifact store of MLflow holds it."""

import tempfile
from pathlib import Path
from typing import Any

from mlgate.errors import RegistryError
from mlgate.registry import tags as keys
from mlgate.registry.interface import WAIVER_FILE, StoredEvidence, StoredWaiver
from mlgate.registry.mlflow_envelope import read_envelope
from mlgate.registry.mlflow_flat import entry_of

MAX_EVIDENCE_BYTES = 64 * 1024 * 1024


def stored_evidence(store: Any, run: Any, place: str) -> StoredEvidence | None:
    """Return a run's evidence; `None` where it has none. A store that does not answer is an error, not "none".

    Args:
        store: Artifacts of the run, `list_artifacts` and `_download_file`.
        run: Of MLflow's client, or of `RestClient`.
        place: The registry's address without credentials, for messages.

    Raises:
        RegistryError: It is over `MAX_EVIDENCE_BYTES`.
    """
    name = f"{keys.FOLDER}/{keys.EVIDENCE_FILE}"
    with tempfile.TemporaryDirectory(prefix="mlgate-") as folder:
        target = Path(folder) / keys.EVIDENCE_FILE
        try:
            store._download_file(name, str(target))  # noqa: SLF001 - the method MLflow asks its plugins to write
        except Exception:
            if entry_of(store, name) is not None:
                raise
            return None
        if target.stat().st_size > MAX_EVIDENCE_BYTES:
            raise RegistryError(f"{place}: the evidence of run {run.info.run_id} is over {MAX_EVIDENCE_BYTES} bytes")
        return StoredEvidence(
            run_id=str(run.info.run_id),
            raw=target.read_bytes(),
            claimed_digest=run.data.tags.get(keys.EVIDENCE),
            envelope=read_envelope(store, Path(folder)),
        )


def stored_waiver(store: Any, run: Any) -> StoredWaiver | None:
    """Return a run's waiver; `None` where it has none. As for `stored_evidence`."""
    with tempfile.TemporaryDirectory(prefix="mlgate-") as folder:
        envelope = read_envelope(store, Path(folder), (WAIVER_FILE,))
    return None if envelope is None else StoredWaiver(run_id=str(run.info.run_id), envelope=envelope)
