"""Carry connections from one address to another. Standard library only: its source is run in a container as `python -c`.

    LISTEN TARGET [--demand-token | --send-token] [--tied]

An address is `unix:PATH` or `tcp:HOST:PORT` (port 0: any). The model's container has no network at all, so it can not publish
a port; a container with this program can, and holds neither model nor data. Where the engine is on another machine the port is
open to others too: there it demands a token before anything else (`--demand-token`), and a second one of this program, on this
machine, says it (`--send-token`), so that neither client nor model ever sees it. The token is the first line on standard input.
With `--tied` the program ends with its parent, or when standard input does.
"""

from __future__ import annotations  # It runs in the model's Python, which may be an old one.

import asyncio
import contextlib
import hmac
import os
import socket
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

HIGH_WATER = 1 << 18
TOKEN_TIMEOUT_S = 10.0


class Pipe(asyncio.Protocol):
    """One end of a connection. Bytes, end of file and back-pressure go to the other end."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.other: Pipe | None = None
        # What came before the other end was there. Pausing does not keep it away: up to Python 3.11.3 a transport that is
        # paused in `connection_made` reads all the same, and what it read would be lost and the client wait for ever.
        self._early = bytearray()
        self._ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  (asyncio's signature is wider than its stream servers)
        self.transport = transport
        transport.set_write_buffer_limits(high=HIGH_WATER)

    def data_received(self, data: bytes) -> None:
        """Pass it on."""
        if self.other is None:
            self._early += data
        elif self.other.transport is not None:
            self.other.transport.write(data)

    def eof_received(self) -> bool:
        """Pass on that this side has said all it will; it may still listen."""
        self._ended = True
        if self.other is not None and self.other.transport is not None:
            with contextlib.suppress(OSError, RuntimeError):
                self.other.transport.write_eof()
        return True

    def join(self, other: Pipe) -> None:
        """Let *other* be the other end, and pass on what came before it was."""
        self.other = other
        if self._early:
            self.data_received(bytes(self._early))
            self._early.clear()
        if self._ended:
            self.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """Close the other end too, once what is under way has been written; a broken connection is broken there too."""
        other, self.transport = self.other, None
        if other is not None and other.transport is not None:
            if exc is None:
                other.transport.close()
            else:
                other.transport.abort()

    def pause_writing(self) -> None:
        """This end can not keep up: stop reading at the other one."""
        self._other_reads(on=False)

    def resume_writing(self) -> None:
        """Go on reading at the other end."""
        self._other_reads(on=True)

    def _other_reads(self, *, on: bool) -> None:
        other = self.other
        if other is not None and other.transport is not None and not other.transport.is_closing():
            (other.transport.resume_reading if on else other.transport.pause_reading)()


class Inbound(Pipe):
    """The end that a client is at; opens the other one.

    Args:
        connect: Opens it.
        said: Called once somebody was let in.
    """

    def __init__(self, connect: Callable[[], Awaitable[Pipe]], said: Callable[[], None] = lambda: None) -> None:
        super().__init__()
        self._connect = connect
        self._said = said
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        super().connection_made(transport)
        _send_at_once(transport)
        self.let_in()

    def let_in(self) -> None:
        """Stop reading until there is somebody to read to."""
        assert self.transport is not None  # noqa: S101  (a connection was made)
        self.transport.pause_reading()
        self._said()
        self._task = asyncio.get_running_loop().create_task(self._open())

    async def _open(self) -> None:
        try:
            outbound = await self._connect()
        except OSError:  # No server there, or not yet: the client sees a closed connection.
            if self.transport is not None:
                self.transport.close()
            return
        if self.transport is None:
            if outbound.transport is not None:
                outbound.transport.close()
            return
        self.join(outbound)
        outbound.join(self)
        self.transport.resume_reading()


class Guarded(Inbound):
    """An `Inbound` that lets nobody in without the token, and reads no more than that before.

    Args:
        connect: Opens the other end.
        token: What the first bytes of a connection have to be.
        said: Called once somebody was let in.
        timeout_s: How long the token may take, in seconds: who says nothing must not hold a connection.
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[Pipe]],
        token: bytes,
        said: Callable[[], None] = lambda: None,
        *,
        timeout_s: float = TOKEN_TIMEOUT_S,
    ) -> None:
        super().__init__(connect, said)
        self._token = token
        self._timeout_s = timeout_s
        self._deadline: asyncio.TimerHandle | None = None
        self._admitted = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the token."""
        Pipe.connection_made(self, transport)
        _send_at_once(transport)
        self._deadline = asyncio.get_running_loop().call_later(self._timeout_s, self._refuse)

    def data_received(self, data: bytes) -> None:
        """Pass on what comes after the token; end a connection that says anything else."""
        super().data_received(data)
        if self._admitted or len(self._early) < len(self._token):
            return
        given = bytes(self._early[: len(self._token)])
        if not hmac.compare_digest(given, self._token):
            self._refuse()
            return
        self._admitted = True
        del self._early[: len(self._token)]
        self._end_deadline()
        self.let_in()

    def eof_received(self) -> bool:
        """Nothing more will be said: without a token there is nobody to wait for."""
        return super().eof_received() if self._admitted else False

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the deadline."""
        self._end_deadline()
        super().connection_lost(exc)

    def _refuse(self) -> None:
        self._early.clear()
        if self.transport is not None:
            self.transport.abort()

    def _end_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()


def _send_at_once(transport: asyncio.BaseTransport) -> None:
    # Without this, small answers wait 40 ms for the other side's delayed ACK.
    raw = transport.get_extra_info("socket")
    if raw.family in (socket.AF_INET, socket.AF_INET6):
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def address(text: str) -> tuple[str, int] | str:
    """Return the path of `unix:PATH`, host and port of `tcp:HOST:PORT`.

    Raises:
        ValueError: It is neither.
    """
    kind, _, rest = text.partition(":")
    if kind == "unix":
        return rest
    host, _, port = rest.rpartition(":")
    if kind != "tcp" or not host:
        raise ValueError(text)
    return host.strip("[]"), int(port)


def connector(target: tuple[str, int] | str, first: bytes = b"") -> Callable[[], Awaitable[Pipe]]:
    """Return what opens a connection to *target* and says *first* there."""

    async def connect() -> Pipe:
        loop = asyncio.get_running_loop()
        made: tuple[asyncio.BaseTransport, Pipe]
        if isinstance(target, str):
            made = await loop.create_unix_connection(Pipe, target)
        else:
            made = await loop.create_connection(Pipe, *target)
        transport, pipe = made
        _send_at_once(transport)
        if first and pipe.transport is not None:
            pipe.transport.write(first)
        return pipe

    return connect


async def forward(
    listen: tuple[str, int] | str,
    target: tuple[str, int] | str,
    *,
    demand: bytes = b"",
    send: bytes = b"",
    tied: bool = False,
) -> None:
    """Listen until cancelled; say `forwarding PORT` then, and `connected` when the first client was let in."""
    loop = asyncio.get_running_loop()
    connect = connector(target, send)
    told = False

    def said() -> None:
        nonlocal told
        if not told:
            told = True
            _say("connected")

    def inbound() -> Inbound:
        return Guarded(connect, demand, said) if demand else Inbound(connect, said)

    if isinstance(listen, str):
        server: asyncio.Server = await loop.create_unix_server(inbound, listen, backlog=1024)
        port = 0
    else:
        server = await loop.create_server(inbound, *listen, backlog=1024)
        port = server.sockets[0].getsockname()[1]
    ended = asyncio.Event()
    if tied:
        _watch_parent(ended)
    _say(f"forwarding {port}")
    async with server:
        await ended.wait()


def _watch_parent(ended: asyncio.Event) -> None:
    """Set *ended* with the parent, or when standard input ends: a fork of the parent may hold that open for longer."""
    loop = asyncio.get_running_loop()

    def read() -> None:
        if not os.read(0, 4096):
            ended.set()

    loop.add_reader(0, read)
    with contextlib.suppress(OSError):
        loop.add_reader(os.pidfd_open(os.getppid()), ended.set)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _read_token() -> bytes:
    """Return the first line of standard input, byte by byte: what follows is not ours."""
    line = b""
    while not line.endswith(b"\n") and len(line) < 1024:
        byte = os.read(0, 1)
        if not byte:
            break
        line += byte
    if len(line) < 33:  # A token that is cut short would be guessed.
        sys.exit("no token on standard input")
    return line.strip()


def main(arguments: list[str]) -> None:
    """Run as a program."""
    options = set(arguments[2:])
    token = _read_token() if options & {"--demand-token", "--send-token"} else b""
    asyncio.run(
        forward(
            address(arguments[0]),
            address(arguments[1]),
            demand=token if "--demand-token" in options else b"",
            send=token if "--send-token" in options else b"",
            tied="--tied" in options,
        )
    )


if __name__ == "__main__":
    main(sys.argv[1:])
