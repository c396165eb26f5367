"""A small HTTP server of known service times, in a process of its own; what the load benchmarks measure against.

The service times are exact: a timer of asyncio rounds up to a millisecond, so the last millisecond is waited for in a loop.
"""

import argparse
import asyncio
import itertools
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

# Every request of the longest freeze may wait for a connection of its own; asyncio's default of 100 would drop their SYNs,
# and the kernel sends those again after one second, which is no wait of the server's.
BACKLOG = 4096
# asyncio wakes at the next whole millisecond.
TIMER_S = 0.001
STATUS = {200: b"200 OK", 500: b"500 Internal Server Error"}
ANSWER = {200: b'{"predictions": [1.0]}', 500: b'{"error_code": "INTERNAL_ERROR"}'}


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """How the server answers.

    Attributes:
        service_s: Seconds from a request to its answer, one after the other in order of arrival, and again from the first.
        failing: Whether the answer is a 500, shape as *service_s*; `None`: never.
        in_line: One request at a time, as one predict thread does; else all at once.
        hangs_after: Requests that are answered before none is; `None`: it never hangs.
        begins_at: The request, counted from 1, that is announced as the begin of the run: the one after the warm-up.
    """

    service_s: NDArray[np.float64]
    failing: NDArray[np.bool_] | None = None
    in_line: bool = False
    hangs_after: int | None = None
    begins_at: int = 4


class Service:
    """State of the server: who is next, and when it is free."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour, self.free_at, self.count = behaviour, 0.0, 0
        failing = np.zeros(len(behaviour.service_s), bool) if behaviour.failing is None else behaviour.failing
        self.next = itertools.cycle(zip(behaviour.service_s.tolist(), failing.tolist(), strict=True))

    def take(self, transport: asyncio.Transport) -> None:
        """Accept one request and answer it when its time has come."""
        now, behaviour = time.monotonic(), self.behaviour
        self.count += 1
        if self.count == behaviour.begins_at:
            print(f"begun {now}", flush=True)
        if behaviour.hangs_after is not None and self.count > behaviour.hangs_after:
            return
        service_s, failing = next(self.next)
        done_at = max(now, self.free_at if behaviour.in_line else 0.0) + service_s
        self.free_at = done_at
        asyncio.get_running_loop().call_at(done_at - TIMER_S, self.answer, transport, done_at, 500 if failing else 200)

    def answer(self, transport: asyncio.Transport, done_at: float, status: int) -> None:
        """Answer at *done_at*, in seconds of the monotonic clock, which is asyncio's too."""
        while time.monotonic() < done_at:
            pass
        body = ANSWER[status]
        head = b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (
            STATUS[status],
            len(body),
        )
        transport.write(head + body)


class Connection(asyncio.Protocol):
    """Just enough HTTP/1.1: kept alive, requests with a length."""

    def __init__(self, service: Service) -> None:
        self.service, self.read = service, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Take every whole request."""
        self.read += data
        while (end := self.read.find(b"\r\n\r\n")) >= 0:
            _, _, length = self.read[:end].lower().partition(b"content-length:")
            whole = end + 4 + (int(length.split(b"\r\n", 1)[0]) if length else 0)
            if len(self.read) < whole:
                return
            self.read = self.read[whole:]
            self.service.take(self.transport)  # type: ignore[arg-type]  # TCP gives a Transport


async def serve(behaviour: Behaviour) -> None:
    """Listen on a free port of the loopback and say which, until SIGTERM."""
    loop, service, ended = asyncio.get_running_loop(), Service(behaviour), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    server = await loop.create_server(lambda: Connection(service), "127.0.0.1", 0, backlog=BACKLOG)
    print(f"port {server.sockets[0].getsockname()[1]}", flush=True)
    await ended.wait()


class Running:
    """A server process."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process, self.begun, self.begun_at = process, Event(), float("nan")
        assert process.stdout
        self.url = f"http://127.0.0.1:{int(process.stdout.readline().split()[1])}"
        self.address = ("127.0.0.1", urlsplit(self.url).port or 0)
        Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.begun_at = float(line.split()[1])
            self.begun.set()

    def freeze(self, after_s: float, length_s: float) -> "Freeze":
        """Stop the process *after_s* seconds after its run has begun, for *length_s* seconds; in a thread."""
        return Freeze(self, after_s, length_s)


class Freeze(Thread):
    """SIGSTOP and SIGCONT, and when they were sent, in seconds of the monotonic clock."""

    def __init__(self, server: Running, after_s: float, length_s: float) -> None:
        super().__init__(daemon=True)
        self.server, self.after_s, self.length_s = server, after_s, length_s
        self.start_at = self.end_at = float("nan")
        self.start()

    def run(self) -> None:
        """Wait for the begin, freeze, thaw."""
        self.server.begun.wait()
        time.sleep(max(0.0, self.server.begun_at + self.after_s - time.monotonic()))
        self.server.process.send_signal(signal.SIGSTOP)
        self.start_at = time.monotonic()
        try:
            time.sleep(self.length_s)
        finally:
            self.end_at = time.monotonic()
            self.server.process.send_signal(signal.SIGCONT)


@contextmanager
def running(behaviour: Behaviour, folder: Path) -> Iterator[Running]:
    """Run a server of *behaviour* in a process of its own, its service times in a file in *folder*."""
    script = folder / f"behaviour_{time.monotonic_ns()}.npz"
    failing = np.zeros(len(behaviour.service_s), bool) if behaviour.failing is None else behaviour.failing
    np.savez(script, service_s=behaviour.service_s, failing=failing)
    options = [f"--begins-at={behaviour.begins_at}", *(["--in-line"] if behaviour.in_line else [])]
    options += [] if behaviour.hangs_after is None else [f"--hangs-after={behaviour.hangs_after}"]
    command = [sys.executable, __file__, str(script), *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield Running(process)
    finally:
        process.kill()
        process.wait()


def main() -> None:
    """Serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("script", type=Path)
    parser.add_argument("--in-line", action="store_true")
    parser.add_argument("--hangs-after", type=int)
    parser.add_argument("--begins-at", type=int, default=4)
    options = parser.parse_args()
    script = np.load(options.script)
    asyncio.run(
        serve(
            Behaviour(
                service_s=script["service_s"],
                failing=script["failing"],
                in_line=options.in_line,
                hangs_after=options.hangs_after,
                begins_at=options.begins_at,
            )
        )
    )


if __name__ == "__main__":
    main()
