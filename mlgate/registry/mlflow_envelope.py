"""An envelope beside a gate run's evidence, or a waiver's, as an artifact store of MLflow holds it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mlgate.registry import tags as keys
from mlgate.registry.interface import BUNDLE_FILE, ENVELOPE_FILE
from mlgate.registry.mlflow_flat import entry_of

# What the reader of envelopes takes.
MAX_ENVELOPE_BYTES = 64 * 1024 * 1024


def read_envelope(store: Any, folder: Path, names: Sequence[str] = (ENVELOPE_FILE, BUNDLE_FILE)) -> bytes | None:
    """Return the envelope, or the Sigstore bundle around one; `None` where there is neither.

    One that is over `MAX_ENVELOPE_BYTES` comes back empty, which no gate takes: an error here would let whoever can
    log a run hide everybody's.

    Args:
        store: MLflow's artifact repository of the run. One that does not answer is an error, not "none".
        folder: Takes the download.
        names: Below `mlgate/`, the first that is there counts.
    """
    places = (f"{keys.FOLDER}/{name}" for name in names)
    entry = next((found for place in places if (found := entry_of(store, place)) is not None), None)
    if entry is None:
        return None
    if (entry.file_size or 0) > MAX_ENVELOPE_BYTES:
        return b""
    target = folder / ENVELOPE_FILE
    store._download_file(entry.path, str(target))  # noqa: SLF001 - the method MLflow asks its plugins to write
    return target.read_bytes() if target.stat().st_size <= MAX_ENVELOPE_BYTES else b""
