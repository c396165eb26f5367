import asyncio
import contextlib
import socket

import pytest

from mlgate.sandbox import forwarder
from mlgate.sandbox.forwarder import Inbound, Pipe


@contextlib.asynccontextmanager
async def forwarding(path, answer):
    """Serve *answer* (reader, writer) on a unix socket, and give a TCP port that leads there."""
    loop = asyncio.get_running_loop()
    server = await asyncio.start_unix_server(answer, path, backlog=2048) if answer else None
    entrance = await loop.create_server(lambda: Inbound(str(path)), "127.0.0.1", 0)
    try:
        yield entrance.sockets[0].getsockname()[1]
    finally:
        entrance.close()
        if server:
            server.close()


async def echo(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.write(b"end")
    writer.close()


async def exchange(port, payload):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(payload)
    writer.write_eof()
    answer = await reader.read()
    writer.close()
    return answer


@pytest.mark.parametrize("size", [0, 1, 5_000_000])
def test_everything_arrives_in_order_and_half_closed_connections_still_listen(tmp_path, size):
    """More bytes than any buffer on the way."""
    payload = bytes(n % 251 for n in range(size))

    async def run():
        async with forwarding(tmp_path / "s", echo) as port:
            return await asyncio.wait_for(exchange(port, payload), 30)

    assert asyncio.run(run()) == payload + b"end"


def test_many_connections_at_once_lose_nothing(tmp_path):
    """Also what was sent before the inner connection was there."""

    async def run():
        async with forwarding(tmp_path / "s", echo) as port:
            return await asyncio.wait_for(asyncio.gather(*(exchange(port, b"%d" % n) for n in range(300))), 30)

    assert asyncio.run(run()) == [b"%dend" % n for n in range(300)]


def test_what_came_before_the_other_end_is_passed_on():
    """Python 3.11.2 reads from a transport that was paused when the connection was made."""

    class Sink:
        """Takes what is written."""

        def __init__(self):
            self.written = []

        def write(self, data):
            self.written.append(data)

        def write_eof(self):
            self.written.append("eof")

    early, other = Pipe(), Pipe()
    other.transport = Sink()
    early.data_received(b"a")
    early.data_received(b"b")
    early.eof_received()
    early.join(other)
    assert other.transport.written == [b"ab", "eof"]


def test_a_connection_is_closed_when_no_server_is_there(tmp_path):
    """The probe tries again; nobody waits."""

    async def run():
        async with forwarding(tmp_path / "absent", None) as port:
            with contextlib.suppress(ConnectionError):
                return await asyncio.wait_for(exchange(port, b"x"), 10)
        return b""

    assert asyncio.run(run()) == b""


def test_the_end_of_the_server_is_the_end_of_the_connection(tmp_path):
    """A crash is seen at once, not after a timeout."""

    async def crash(reader, writer):
        await reader.read(1)
        writer.transport.abort()

    async def run():
        async with forwarding(tmp_path / "s", crash) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"x")
            try:
                return await asyncio.wait_for(reader.read(), 10)
            except ConnectionError:
                return b""

    assert asyncio.run(run()) == b""


def test_the_source_stands_alone():
    """It is run as text in a container that has no mlgate."""
    with open(forwarder.__file__, encoding="utf-8") as file:  # noqa: PTH123  (the bytes as `-c` gets them)
        source = file.read()
    assert "mlgate." not in source.partition('"""')[2].partition('"""')[2]
    assert len(source) < 100_000  # one argument holds 128 KiB (MAX_ARG_STRLEN)
    assert socket.TCP_NODELAY
