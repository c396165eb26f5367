"""What the generator tells the run that started it, as files of a private folder."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

ANSWERS_FILE = "answers.npz"
_STARTED_FILE = "started"
_RAN_FILE = "ran.json"
_MASTER_FILE = "master"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """How a run went, where it went to its end.

    Attributes:
        started_at: Second 0 of the samples, on `time.monotonic`.
        stopped_s: Seconds since then at which it was stopped; None where nobody did.
        cpu_share: CPU time of all the generator's processes over wall time.
    """

    started_at: float
    stopped_s: float | None
    cpu_share: float

    def write(self, private: Path) -> None:
        """Leave it in the folder *private*."""
        (private / _RAN_FILE).write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, private: Path) -> Self:
        """Read what `write` left.

        Raises:
            OSError: Nothing was left.
        """
        return cls(**json.loads((private / _RAN_FILE).read_text(encoding="utf-8")))


def tell_start(private: Path, at: float) -> None:
    """Say that second 0 is *at*, on `time.monotonic`."""
    _put(private / _STARTED_FILE, repr(at))


def read_start(private: Path) -> float | None:
    """Return second 0; None where the run has not come to it."""
    text = _get(private / _STARTED_FILE)
    return None if text is None else float(text)


def tell_master(private: Path, port: int) -> None:
    """Say on which port the master listens."""
    _put(private / _MASTER_FILE, str(port))


def read_master(private: Path) -> int | None:
    """Return the master's port; None where it does not listen yet."""
    text = _get(private / _MASTER_FILE)
    return None if text is None else int(text)


def _put(path: Path, text: str) -> None:
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def _get(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
