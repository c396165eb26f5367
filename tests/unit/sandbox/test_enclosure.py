"""Who listens on a port, by the kernel's tables."""

import socket
from pathlib import Path

import pytest

from mlgate.sandbox.enclosure import listeners


@pytest.mark.parametrize(
    ("address", "loopback"),
    [("127.0.0.1", True), ("127.0.0.2", True), ("0.0.0.0", False)],
)
def test_a_real_listener_is_found_and_told_from_one_on_loopback(address, loopback):
    """Against the kernel of this machine; only loopback is not reached from outside of a container."""
    with socket.create_server((address, 0)) as listener:
        assert listeners(Path("/proc/net/tcp").read_text(), listener.getsockname()[1]) == (loopback,)


# As /proc/net/tcp6 prints it, for a socket on port 8080 that listens.
TCP6 = "   0: {address}:1F90 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000 65534 0 1 1 0 100 0\n"


@pytest.mark.parametrize(
    ("address", "loopback"),
    [("0" * 32, False), ("00000000000000000000000001000000", True), ("0000000000000000FFFF00000100007F", True)],
)
def test_version_6_is_read_too(address, loopback):
    """`::`, `::1` and `::ffff:127.0.0.1`; not every machine that runs this has it."""
    assert listeners("  sl  local_address\n" + TCP6.format(address=address), 8080) == (loopback,)


def test_a_connection_from_the_port_is_no_listener():
    """Only state 0A listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            pass
        established = Path("/proc/net/tcp").read_text().replace(" 0A ", " 01 ")
        assert listeners(established, port) == ()
