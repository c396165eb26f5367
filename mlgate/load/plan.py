"""What a load run sends, and how it is handed to the generator's process. Pure but for its files."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import numpy as np

from mlgate.load.schedule import Schedule

# The generator reads its plan from the folder that this variable names.
PLAN_VARIABLE = "MLGATE_LOAD_PLAN"

SAMPLES_FILE = "samples.npz"
HEALTH_FILE = "health.json"

# Connection set-up, lazy imports and the server's first-request work belong to cold start, not to a percentile.
WARM_UP_REQUESTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadPlan:
    """One open-loop run against one endpoint.

    Attributes:
        url: Scheme, host and port: `http://127.0.0.1:8080`.
        bodies: Request bodies, sent in turn; at least one.
        schedule: When to send.
        path: Path of the endpoint, with its leading slash.
        content_type: Of every body.
        headers: Further request headers (a forwarder's token). They reach neither the command line nor the output folder.
        timeout_s: Seconds from a request's send after which it counts as not answered.
        reject_not_finite: Whether an answer with a NaN or Infinity token is an error.
        reject_null: Whether an answer with null in a V2 output is one: that is how V2 spells such a number.
    """

    url: str
    bodies: tuple[bytes, ...]
    schedule: Schedule
    path: str = "/invocations"
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    timeout_s: float = 10.0
    reject_not_finite: bool = True
    reject_null: bool = False

    def __post_init__(self) -> None:
        if not self.bodies:
            raise ValueError("a load plan without bodies sends nothing")
        if not (self.timeout_s > 0 and self.path.startswith("/")):
            raise ValueError(
                f"timeout_s is {self.timeout_s}, path is '{self.path}'; need a timeout above 0 and a leading /"
            )

    def write(self, folder: Path) -> None:
        """Write the plan into *folder*, which should be private: it holds bodies and headers."""
        settings = {
            "url": self.url,
            "path": self.path,
            "content_type": self.content_type,
            "headers": dict(self.headers),
            "timeout_s": self.timeout_s,
            "reject_not_finite": self.reject_not_finite,
            "reject_null": self.reject_null,
            "rate": self.schedule.rate,
            "duration_s": self.schedule.duration_s,
        }
        (folder / "plan.json").write_text(json.dumps(settings), encoding="utf-8")
        np.savez(
            folder / "plan.npz",
            sends_s=self.schedule.sends_s,
            bodies=np.frombuffer(b"".join(self.bodies), np.uint8),
            ends=np.cumsum([len(body) for body in self.bodies]),
        )

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read what `write` wrote into *folder*."""
        settings = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
        rate, duration_s = settings.pop("rate"), settings.pop("duration_s")
        with np.load(folder / "plan.npz", allow_pickle=False) as columns:
            raw, ends = columns["bodies"].tobytes(), columns["ends"].tolist()
            sends_s = columns["sends_s"]
        bodies = tuple(raw[start:end] for start, end in zip([0, *ends], ends, strict=False))
        return cls(**settings, bodies=bodies, schedule=Schedule(sends_s=sends_s, rate=rate, duration_s=duration_s))
