"""A no-op model server of known service time: what its answers take longer is what host and generator add.

This file is also the server's program, in a process of its own: standard library only, nothing of mlgate.
"""

import asyncio
import contextlib
import json
import os
import select
import subprocess
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager

# A bare interpreter with asyncio is up in 0.1 s; a cold, busy host takes many times that.
START_TIMEOUT_S = 30.0

# Connections that wait to be accepted. asyncio's 100 overflow in a burst, and a dropped SYN comes again after a second.
BACKLOG = 1000


@contextmanager
def noop_server(*, service_s: float = 0.005, rows: int = 1, cores: Collection[int] | None = None) -> Iterator[str]:
    """Serve `{"predictions": […]}` in a process of its own, on a free port of 127.0.0.1, until the block ends.

    It answers any number of requests at once, each *service_s* after its last byte came, and computes nothing. It also
    ends with the process that started it, however that ends.

    Args:
        service_s: Seconds from a request to its answer. Timers of the event loop are good to about 1 ms.
        rows: Predictions in each answer.
        cores: Cores that it may run on; `None`: any.

    Yields:
        Its URL: `http://127.0.0.1:40123`.

    Raises:
        OSError: It did not come up, or *cores* are not this process's to give.
    """
    options = [repr(float(service_s)), str(rows), ",".join(str(core) for core in sorted(cores or ()))]
    process = subprocess.Popen(
        # -I and -S: neither the user's environment nor installed packages have a say in it.
        [sys.executable, "-I", "-S", __file__, *options],
        stdin=subprocess.PIPE,  # its end of file is how the server learns that we are gone
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        yield f"http://127.0.0.1:{_port(process)}"
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe:
                pipe.close()


def _port(process: "subprocess.Popen[bytes]") -> int:
    output = process.stdout
    line = output.readline() if output and select.select([output], [], [], START_TIMEOUT_S)[0] else b""
    if not line.strip().isdigit():
        raise OSError("the no-op server for the calibration did not start")
    return int(line)


class _Connection(asyncio.Protocol):
    """One keep-alive connection: requests come one after another, and each is answered after the service time."""

    def __init__(self, service_s: float, answer: bytes) -> None:
        self._service_s, self._answer = service_s, answer
        self._received = bytearray()
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport if isinstance(transport, asyncio.WriteTransport) else None

    def data_received(self, data: bytes) -> None:
        self._received += data
        while length := _request_length(self._received):
            del self._received[:length]
            if self._service_s:
                asyncio.get_running_loop().call_later(self._service_s, self._write)
            else:
                self._write()

    def _write(self) -> None:
        if self._transport and not self._transport.is_closing():
            self._transport.write(self._answer)


def _request_length(received: bytearray) -> int:
    """Return the bytes of the first request in *received*, head and body; 0 where it is not whole yet."""
    head = received.find(b"\r\n\r\n")
    if head < 0:
        return 0
    for line in bytes(received[:head]).lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            length = head + 4 + int(line.partition(b":")[2])
            return length if len(received) >= length else 0
    return head + 4


async def _serve(service_s: float, rows: int) -> None:
    body = json.dumps({"predictions": [0.0] * rows}).encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(0, ended.set)  # nothing is ever written there: readable is end of file
    server = await loop.create_server(lambda: _Connection(service_s, head + body), "127.0.0.1", 0, backlog=BACKLOG)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await ended.wait()


def _main(service_s: str, rows: str, cores: str) -> None:
    if cores:
        os.sched_setaffinity(0, {int(core) for core in cores.split(",")})
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(float(service_s), int(rows)))


if __name__ == "__main__":
    _main(*sys.argv[1:])
