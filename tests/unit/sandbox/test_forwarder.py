import asyncio
import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from mlgate.sandbox import forwarder
from mlgate.sandbox.forwarder import Guarded, Inbound, Pipe, address, connector
from mlgate.sandbox.relay import Relay

TOKEN = b"0123456789abcdef" * 4


@contextlib.asynccontextmanager
async def forwarding(path, answer, inbound=Inbound):
    """Serve *answer* (reader, writer) on a unix socket, and give a TCP port that leads there."""
    loop = asyncio.get_running_loop()
    server = await asyncio.start_unix_server(answer, path, backlog=2048) if answer else None
    entrance = await loop.create_server(lambda: inbound(connector(str(path))), "127.0.0.1", 0)
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


def guarded(connect, **options):
    """Demand the token."""
    return Guarded(connect, TOKEN, **options)


@pytest.mark.parametrize("size", [0, 1, 5_000_000])
def test_with_the_token_everything_arrives_and_the_server_never_sees_it(tmp_path, size):
    """It is no part of what is carried."""
    payload = bytes(n % 251 for n in range(size))

    async def run():
        async with forwarding(tmp_path / "s", echo, guarded) as port:
            return await asyncio.wait_for(exchange(port, TOKEN + payload), 30)

    assert asyncio.run(run()) == payload + b"end"


def test_a_token_in_pieces_is_the_token(tmp_path):
    """TCP keeps no borders."""

    async def run():
        async with forwarding(tmp_path / "s", echo, guarded) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            for byte in TOKEN + b"xy":
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(0)
            writer.write_eof()
            return await asyncio.wait_for(reader.read(), 10)

    assert asyncio.run(run()) == b"xyend"


@pytest.mark.parametrize(
    "said",
    [b"", b"GET /ping HTTP/1.1\r\n\r\n", TOKEN[:-1], b"x" + TOKEN[1:], TOKEN[:-1] + b"x", b"x" * 10_000_000],
    ids=["nothing", "a request", "too short", "first byte", "last byte", "very long"],
)
def test_without_the_token_nobody_reaches_the_server(tmp_path, said):
    """The connection ends, and no byte of it is passed on."""
    reached = []

    async def server(reader, writer):
        reached.append(await reader.read(65536))
        writer.close()

    async def run():
        async with forwarding(tmp_path / "s", server, guarded) as port:
            with contextlib.suppress(ConnectionError):
                return await asyncio.wait_for(exchange(port, said), 10)
        return b""

    assert asyncio.run(run()) == b""
    assert reached == []


def test_who_says_nothing_is_sent_away(tmp_path):
    """Else a few thousand silent connections would close the door for everybody."""

    async def run():
        async with forwarding(tmp_path / "s", echo, lambda connect: guarded(connect, timeout_s=0.05)) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(TOKEN[:10])
            with contextlib.suppress(ConnectionError):
                return await asyncio.wait_for(reader.read(), 10)
            return b""

    assert asyncio.run(run()) == b""


def test_addresses_are_read():
    """Both kinds, and nothing else."""
    assert address("unix:/run/a:b.sock") == "/run/a:b.sock"
    assert address("tcp:10.0.0.1:80") == ("10.0.0.1", 80)
    assert address("tcp:[::1]:80") == ("::1", 80)
    for wrong in ("tcp:80", "/run/a", "udp:h:1", "tcp:h:x"):
        with pytest.raises(ValueError, match=r"tcp|invalid|run|udp"):
            address(wrong)


def run_program(arguments, **options):
    """Start the forwarder as it runs in its container."""
    command = [sys.executable, "-I", "-S", forwarder.__file__, *arguments]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **options)


def test_a_relay_says_the_token_that_a_forwarder_demands(tmp_path):
    """Two of the program, as between two machines; the client knows nothing of it."""

    async def talk(port):
        server = await asyncio.start_unix_server(echo, tmp_path / "s")
        try:
            return await asyncio.wait_for(exchange(port, b"hello"), 10)
        finally:
            server.close()

    with run_program(["tcp:127.0.0.1:0", f"unix:{tmp_path}/s", "--demand-token"]) as far:
        far.stdin.write(f"{TOKEN.decode()}\n")
        far.stdin.flush()
        port = int(far.stdout.readline().split()[1])
        relay = Relay.start("127.0.0.1", port, TOKEN.decode())
        try:
            assert asyncio.run(talk(relay.port)) == b"helloend"
            assert far.stdout.readline() == "connected\n"
        finally:
            relay.stop()
            relay.stop()
            far.kill()


def test_the_token_is_in_no_command_line_and_no_environment():
    """Whoever can list processes can read those."""
    relay = Relay.start("127.0.0.1", 1, TOKEN.decode())
    try:
        process = Path(f"/proc/{relay.pid}")
        for name in ("cmdline", "environ"):
            assert TOKEN not in (process / name).read_bytes()
    finally:
        relay.stop()


def test_a_forwarder_without_a_token_does_not_start():
    """An empty one would let everybody in."""
    with run_program(["tcp:127.0.0.1:0", "unix:/none", "--demand-token"], stderr=subprocess.PIPE) as process:
        _, said = process.communicate("short\n", timeout=20)
        assert "no token" in said
        assert process.returncode == 1


def test_a_relay_ends_with_its_parent_also_when_that_is_killed():
    """And when somebody else still holds the pipe that it listens on."""
    script = (
        "import os, sys, time\nfrom mlgate.sandbox.relay import Relay\n"
        f"relay = Relay.start('127.0.0.1', 1, {TOKEN.decode()!r})\n"
        "if os.fork() == 0:\n    os.close(1)\n    time.sleep(60)\n"
        "print(relay.pid, flush=True)\ntime.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as parent:
        pid = int(parent.stdout.readline())
        handle = os.pidfd_open(pid)
        parent.kill()
        ready, _, _ = select.select([handle], [], [], 20)
        os.close(handle)
        assert ready, "the relay is still there"
        os.killpg(parent.pid, signal.SIGKILL)


def test_the_source_stands_alone():
    """It is run as text in a container that has no mlgate."""
    with open(forwarder.__file__, encoding="utf-8") as file:  # noqa: PTH123  (the bytes as `-c` gets them)
        source = file.read()
    assert "mlgate." not in source.partition('"""')[2].partition('"""')[2]
    assert len(source) < 100_000  # one argument holds 128 KiB (MAX_ARG_STRLEN)
    assert socket.TCP_NODELAY
