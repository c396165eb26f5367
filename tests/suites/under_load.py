"""What the tests of the load suite share: servers that take their time, and how a mutant is recognised."""

import asyncio
import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.suites.conftest import POLICY
from tests.suites.misbehaving import split_of

LOAD = "load: {rate: 100/s, duration: 3500ms, p95: 600ms, p99: 900ms, error_rate: 1%}"
assert LOAD in POLICY


def policy_of(load: str, *, patience: str = "5s") -> str:
    """Return the bench's policy with the section *load*, and a request timeout that no test's latency comes near."""
    return POLICY.replace(LOAD, f"load: {{{load}}}").replace("request_timeout: 3s", f"request_timeout: {patience}")


def every(n: int) -> Callable[..., bool]:
    """Return what is true at every n-th call, whatever it is called with."""
    calls = itertools.count(1)
    return lambda *_: next(calls) % n == 0


def taking(seconds_of: Callable[[int], float]) -> Callable[[Any], Any]:
    """Return a wrapper whose i-th prediction, from 0, takes `seconds_of(i)` longer; no predict thread is kept waiting."""
    calls = itertools.count()

    async def wait() -> None:
        await asyncio.sleep(seconds_of(next(calls)))

    return _before(wait)


def one_at_a_time(seconds: float) -> Callable[[Any], Any]:
    """Return a wrapper that holds each request for *seconds* in a queue of its own."""
    turn = asyncio.Lock()

    async def wait() -> None:
        async with turn:
            await asyncio.sleep(seconds)

    return _before(wait)


def hanging() -> Callable[[Any], Any]:
    """Return a wrapper that is ready and never answers a prediction."""
    return _before(asyncio.Event().wait)


def _before(wait: Callable[[], Any]) -> Callable[[Any], Any]:
    def wrap(inner: Any) -> Any:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http" and scope["path"] == "/invocations":
                await wait()
            await inner(scope, receive, send)

        return app

    return wrap


@dataclass
class Seen:
    """What a server saw: when each prediction was asked for, and of how many rows.

    Attributes:
        at_s: `time.monotonic()` of each request, in seconds.
        rows: Rows of each request.
    """

    at_s: list[float] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)

    def note(self, raw: bytes, _content_type: str) -> bool:
        """Note a request, for `answering`; it is answered as ever."""
        self.at_s.append(time.monotonic())
        self.rows.append(len(split_of(raw).get("data", ())))
        return False

    def last(self, n: int) -> tuple[list[float], list[int]]:
        """Return the last *n*, seconds from the first of them: the run's own, after what is asked without load."""
        return [at - self.at_s[-n] for at in self.at_s[-n:]], self.rows[-n:]


def fails_alone(findings: Any, key: str) -> bool:
    """Return whether *key* is failed and no other check says anything against the model.

    The others passed, or the run was stopped early since *key* had failed: passing takes the whole run, so that each of
    them is inconclusive, and says so, and of none can be said that it would have passed.
    """
    others = [found for name, found in findings.items() if name != key]
    stopped = [found for found in others if found.outcome == "inconclusive"]
    early = (
        bool(stopped) and len(stopped) == len(others) and all(f"since {key} had failed" in f.reason for f in stopped)
    )
    return findings[key].outcome == "failed" and (early or all(found.outcome == "passed" for found in others))
