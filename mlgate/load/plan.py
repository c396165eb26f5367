"""What a load run sends, to whom and when, and how it is handed to the generator's processes. Pure but for its files."""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from mlgate.load.schedule import Schedule

# The generator reads its plan from the folder that this variable names.
PLAN_VARIABLE = "MLGATE_LOAD_PLAN"

# In the generator's private folder.
PLAN_FILE = "plan.npz"
ROWS_FILE = "rows"  # the samples, mapped by generator and run: `mlgate.load.samples.ROW`

# Connection set-up, lazy imports and the server's first-request work belong to cold start, not to a percentile.
WARM_UP_REQUESTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One model server, and what it is asked.

    Attributes:
        url: Scheme, host and port: `http://127.0.0.1:8080`.
        bodies: Request bodies; at least one.
        rows: Rows in each body, so that an answer with fewer is an error; empty: not checked.
        protocol: `invocations` or `v2`: how an answer is read.
        path: Path of the endpoint, with its leading slash.
        content_type: Of every body.
        headers: Further request headers. They reach neither the command line nor the output folder.
        reject_not_finite: Whether an answer with a NaN or Infinity token (or V2's null in their place) is an error.
    """

    url: str
    bodies: tuple[bytes, ...]
    rows: tuple[int, ...] = ()
    protocol: str = "invocations"
    path: str = "/invocations"
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    reject_not_finite: bool = True

    def __post_init__(self) -> None:
        if not self.bodies:
            raise ValueError("a load target without bodies is sent nothing")
        if self.rows and len(self.rows) != len(self.bodies):
            raise ValueError(f"{len(self.bodies)} bodies, and the rows of {len(self.rows)}")
        if not self.path.startswith("/"):
            raise ValueError(f"path is '{self.path}'; need a leading /")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LoadPlan:
    """One open-loop run.

    Attributes:
        targets: Whom to ask; one, or two in turns.
        schedule: When to send.
        body: Shape (n,): which of its target's bodies each request carries; `None`: in turn.
        target: Shape (n,): which target each request goes to; `None`: the first.
        timeout_s: Seconds from a request's send after which it counts as not answered.
        workers: Locust processes that share the schedule.
        cores: Cores that the generator may use; `None`: any.
    """

    targets: tuple[Target, ...]
    schedule: Schedule
    body: NDArray[np.int32] | None = None
    target: NDArray[np.uint8] | None = None
    timeout_s: float = 10.0
    workers: int = 1
    cores: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if not self.targets:
            raise ValueError("a load plan without a target sends nothing")
        if not (self.timeout_s > 0 and self.workers >= 1):
            raise ValueError(f"timeout_s is {self.timeout_s}, workers is {self.workers}; both must be above zero")
        for name, column in (("body", self.body), ("target", self.target)):
            if column is not None and len(column) != len(self.schedule):
                raise ValueError(f"{len(self.schedule)} sends, and a {name} for {len(column)}")
        self._check_columns()

    def _check_columns(self) -> None:
        """Hold each send to a target and a body that are there."""
        body, target = self.columns()
        if not len(body):
            return
        bodies = np.array([len(each.bodies) for each in self.targets])
        if target.max() >= len(bodies) or body.min() < 0 or (body >= bodies[target]).any():
            raise ValueError("a send names a target or a body that the plan does not have")

    def columns(self) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
        """Return body and target of each send, shapes (n,); what the plan leaves open is filled in."""
        count = len(self.schedule)
        target = np.zeros(count, np.uint8) if self.target is None else np.asarray(self.target, np.uint8)
        if self.body is not None:
            return np.asarray(self.body, np.int32), target
        body = np.zeros(count, np.int32)
        for index, each in enumerate(self.targets):
            mine = target == index
            body[mine] = np.arange(mine.sum()) % len(each.bodies)
        return body, target

    def share(self, index: int, count: int) -> Self:
        """Return every *count*-th send from *index* on, for one of *count* processes; times and duration stay."""
        body, target = self.columns()
        part = slice(index, None, count)
        schedule = replace(self.schedule, sends_s=self.schedule.sends_s[part], rate=self.schedule.rate / count)
        return replace(self, schedule=schedule, body=body[part], target=target[part], workers=1)

    def at(self, urls: Sequence[str]) -> Self:
        """Return the plan with the first targets' addresses replaced by *urls*: where another host reaches them."""
        moved = tuple(replace(each, url=url) for each, url in zip(self.targets, urls, strict=False))
        return replace(self, targets=(*moved, *self.targets[len(moved) :]))

    def pack(self) -> bytes:
        """Return the whole plan, bodies and headers with it, as `unpack` reads it."""
        settings = {
            "targets": [_settings(each) for each in self.targets],
            "timeout_s": self.timeout_s,
            "workers": self.workers,
            "cores": self.cores,
            "rate": self.schedule.rate,
            "duration_s": self.schedule.duration_s,
        }
        body, target = self.columns()
        bodies = [content for each in self.targets for content in each.bodies]
        packed = io.BytesIO()
        np.savez(
            packed,
            settings=np.frombuffer(json.dumps(settings).encode(), np.uint8),
            sends_s=self.schedule.sends_s,
            body=body,
            target=target,
            bodies=np.frombuffer(b"".join(bodies), np.uint8),
            ends=np.cumsum([len(content) for content in bodies]),
        )
        return packed.getvalue()

    @classmethod
    def unpack(cls, packed: bytes) -> Self:
        """Read what `pack` gave."""
        with np.load(io.BytesIO(packed), allow_pickle=False) as columns:
            settings = json.loads(columns["settings"].tobytes())
            raw, ends = columns["bodies"].tobytes(), columns["ends"].tolist()
            sends_s, body, target = columns["sends_s"], columns["body"], columns["target"]
        bodies = iter([raw[start:end] for start, end in zip([0, *ends], ends, strict=False)])
        cores = settings["cores"]
        return cls(
            targets=tuple(
                _target(each, [next(bodies) for _ in range(each.pop("count"))]) for each in settings["targets"]
            ),
            schedule=Schedule(sends_s=sends_s, rate=settings["rate"], duration_s=settings["duration_s"]),
            body=body,
            target=target,
            timeout_s=settings["timeout_s"],
            workers=settings["workers"],
            cores=None if cores is None else tuple(cores),
        )

    def write(self, folder: Path) -> None:
        """Write the plan into *folder*, which should be private: it holds bodies and headers."""
        (folder / PLAN_FILE).write_bytes(self.pack())

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read what `write` wrote into *folder*."""
        return cls.unpack((folder / PLAN_FILE).read_bytes())


def _settings(target: Target) -> dict[str, Any]:
    texts = {each.name: getattr(target, each.name) for each in fields(target) if each.name != "bodies"}
    return {**texts, "headers": dict(target.headers), "count": len(target.bodies)}


def _target(settings: Mapping[str, Any], bodies: Sequence[bytes]) -> Target:
    return Target(**{**settings, "rows": tuple(settings["rows"])}, bodies=tuple(bodies))
