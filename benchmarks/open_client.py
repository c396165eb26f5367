"""An open-loop client that shares no code with mlgate: asyncio, raw sockets, its own clock and its own pool.

k6, vegeta and wrk2 are in neither PyPI nor the system's package lists, so this stands in for them. Prints one JSON line: the second
0 of the run on the monotonic clock, and every request's milliseconds from its *intended* send to its whole answer.
"""

import argparse
import asyncio
import gc
import json
import time

BODY = b'{"inputs": [[1.0]]}'
REQUEST = (
    b"POST /invocations HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
    % (
        len(BODY),
        BODY,
    )
)


class Caller(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self) -> None:
        self.read, self.answer = b"", asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = transport

    def ask(self) -> "asyncio.Future[float]":
        """Send the request; the result is when its answer was whole."""
        self.read, self.answer = b"", asyncio.get_running_loop().create_future()
        self.transport.write(REQUEST)  # type: ignore[attr-defined]  # TCP gives a Transport
        return self.answer

    def data_received(self, data: bytes) -> None:
        """Note the time of the last byte."""
        now = time.monotonic()
        self.read += data
        head, _, body = self.read.partition(b"\r\n\r\n")
        length = head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0]
        if length and len(body) >= int(length) and not self.answer.done():
            self.answer.set_result(now)


async def run(port: int, rate: float, duration_s: float, warm_up: int) -> dict[str, object]:
    """Send on schedule, whatever the answers do."""
    loop, idle = asyncio.get_running_loop(), []

    async def send() -> float:
        caller = idle.pop() if idle else (await loop.create_connection(Caller, "127.0.0.1", port))[1]
        done_at = await caller.ask()
        idle.append(caller)
        return done_at

    for _ in range(warm_up):
        await send()
    gc.freeze()
    start, tasks = time.monotonic() + 0.1, []
    for index in range(round(rate * duration_s)):
        # A timer of asyncio rounds up to a millisecond.
        await asyncio.sleep(start + index / rate - time.monotonic() - 0.001)
        while time.monotonic() < start + index / rate:
            pass
        tasks.append(asyncio.create_task(send()))
        await asyncio.sleep(0)
    done = await asyncio.gather(*tasks)
    return {"started_at": start, "response_ms": [(at - start - index / rate) * 1000 for index, at in enumerate(done)]}


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--duration", type=float, required=True)
    parser.add_argument("--warm-up", type=int, default=3)
    options = parser.parse_args()
    print(json.dumps(asyncio.run(run(options.port, options.rate, options.duration, options.warm_up))))


if __name__ == "__main__":
    main()
