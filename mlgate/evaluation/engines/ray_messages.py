"""What the run and its Ray driver say to each other. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """To the driver: connect.

    Attributes:
        address: Of a cluster; empty to start one.
        cpus: Of the one that is started.
        home: Folder for it.
    """

    address: str
    cpus: int
    home: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """From the driver: connected.

    Attributes:
        here: Id of the node that it runs on.
        cpus: Processors of each living node, by id.
    """

    here: str
    cpus: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Crew:
    """To the driver: who scores the parts that follow, the last of which is `None`.

    Attributes:
        servers: Whom the workers ask, a `mlgate.evaluation.engines.ray_worker.Servers`.
        outputs: The output signature, to which answers are held.
        size: How many workers there are.
        cpus: What each takes of its machine.
        node: Id of the machine that they must be on; empty for any.
    """

    servers: Any
    outputs: Any
    size: int
    cpus: int
    node: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """From the driver: what became of one request.

    Attributes:
        number: Of the request, from 0.
        rows: The pickled answers, one a row; `None` where there is no valid one.
        batch: The pickled request, where there is none.
        given_up: Why no server was asked, nor will be; empty else.
    """

    number: int
    rows: bytes | None = None
    batch: bytes | None = None
    given_up: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """From the driver: there are no more answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """From the driver: it can not go on.

    Attributes:
        text: Why, in one line.
        hint: What to do; may be empty.
    """

    text: str
    hint: str = ""
