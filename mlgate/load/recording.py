"""What a run of a user's own locustfile and its recorder tell each other, as files of a private folder."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

_RECORDING_FILE = "recording.json"
_PROBLEM_FILE = "problem"
_RAISED_FILE = "raised.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """What is run, and for how long.

    Attributes:
        file: The user's locustfile.
        directory: Where the user runs locust: paths in the file are relative to it.
        home: The user's home directory; empty where they have none.
        duration_s: Seconds from the start of the test after which nothing that is sent counts.
        timeout_s: Seconds from a request's send after which it counts as not answered.
    """

    file: Path
    directory: Path
    home: str
    duration_s: float
    timeout_s: float

    def write(self, private: Path) -> None:
        """Leave it in the folder *private*."""
        (private / _RECORDING_FILE).write_text(json.dumps(asdict(self), default=str), encoding="utf-8")

    @classmethod
    def read(cls, private: Path) -> Self:
        """Read what `write` left."""
        read = json.loads((private / _RECORDING_FILE).read_text(encoding="utf-8"))
        return cls(**{**read, "file": Path(read["file"]), "directory": Path(read["directory"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class Raised:
    """What tasks raised.

    Attributes:
        count: How often.
        first: The first one: `locustfile.py:12: KeyError: 'predictions'`.
    """

    count: int
    first: str

    def write(self, private: Path) -> None:
        """Leave it in the folder *private*."""
        (private / _RAISED_FILE).write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, private: Path) -> Self:
        """Read what `write` left; nothing was raised where that is nothing."""
        path = private / _RAISED_FILE
        return cls(**json.loads(path.read_text(encoding="utf-8"))) if path.exists() else cls(count=0, first="")


def tell_problem(private: Path, problem: str) -> None:
    """Say in one line why the locustfile can not be run."""
    (private / _PROBLEM_FILE).write_text(problem, encoding="utf-8", errors="replace")


def read_problem(private: Path) -> str:
    """Return why the locustfile can not be run; empty where nobody said so."""
    path = private / _PROBLEM_FILE
    return path.read_text(encoding="utf-8") if path.exists() else ""
