"""TCP to unix socket. Standard library only: its source is run in a container of its own as `python -c`.

The model's container has no network at all, so it can not publish a port; this one can, and holds neither model nor data.
"""

import asyncio
import contextlib
import socket
import sys

HIGH_WATER = 1 << 18


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

    def join(self, other: "Pipe") -> None:
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
    """The TCP end; opens the unix end."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Stop reading until there is somebody to read to."""
        super().connection_made(transport)
        assert self.transport is not None  # noqa: S101  (set by the line above)
        self.transport.pause_reading()
        # Without this, small answers wait 40 ms for the client's delayed ACK.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._task = asyncio.get_running_loop().create_task(self._connect())

    async def _connect(self) -> None:
        try:
            _, outbound = await asyncio.get_running_loop().create_unix_connection(Pipe, self._path)
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


async def forward(path: str, host: str, port: int) -> None:
    """Listen until cancelled."""
    server = await asyncio.get_running_loop().create_server(lambda: Inbound(path), host, port, backlog=1024)
    sys.stdout.write("forwarding\n")
    sys.stdout.flush()
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(forward(sys.argv[1], sys.argv[2], int(sys.argv[3])))
