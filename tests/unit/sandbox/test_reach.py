import pytest

from mlgate.sandbox.clock import closest, seconds_of
from mlgate.sandbox.reach import LOOPBACK, candidates, default_gateway, open_to_all

OVERRIDE = "TESTCONTAINERS_HOST_OVERRIDE"
DIND = open_to_all("docker")
HOST_BELOW = open_to_all("172.17.0.1")


@pytest.mark.parametrize(
    ("url", "environ", "gateway", "expected"),
    [
        ("unix:///var/run/docker.sock", {}, None, (LOOPBACK,)),
        # A job that was given its host's socket: if loopback is not shared, the host is below the container.
        ("unix:///var/run/docker.sock", {}, "172.17.0.1", (LOOPBACK, HOST_BELOW)),
        ("tcp://docker:2376", {}, "172.17.0.1", (DIND,)),
        ("tcp://docker:2376", {}, None, (DIND,)),
        # The same pod, or the mouth of a tunnel: trying tells which.
        ("tcp://localhost:2375", {}, "172.17.0.1", (LOOPBACK,)),
        ("tcp://127.0.0.1:2375", {}, None, (LOOPBACK,)),
        ("tcp://[::1]:2375", {}, None, (LOOPBACK,)),
        (
            "unix:///var/run/docker.sock",
            {OVERRIDE: "host.docker.internal"},
            None,
            (open_to_all("host.docker.internal"),),
        ),
        ("tcp://docker:2376", {OVERRIDE: "10.0.0.7"}, "172.17.0.1", (open_to_all("10.0.0.7"),)),
        ("tcp://localhost:2375", {OVERRIDE: ""}, None, (LOOPBACK,)),
    ],
)
def test_where_published_ports_may_be_reached(url, environ, gateway, expected):
    """In the order in which it is tried."""
    assert candidates(url, environ, gateway=gateway) == expected


@pytest.mark.parametrize("host", ["docker", "10.0.0.7", "fd00::7", "localhost"])
def test_a_port_that_is_open_to_others_is_always_guarded(host):
    """And one that is not guarded is on loopback only."""
    for way in candidates("tcp://docker:1", {OVERRIDE: host}, gateway="1.2.3.4"):
        assert way.guarded
    assert open_to_all(host).interface == ("::" if ":" in host else "0.0.0.0")
    assert not LOOPBACK.guarded
    assert LOOPBACK.interface == "127.0.0.1"


def test_the_gateway_is_read_from_the_routes():
    """In the kernel's own form, the bytes the wrong way round."""
    head = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
    local = "eth0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n"
    assert default_gateway(head + local) is None
    assert (
        default_gateway(head + "eth0\t00000000\t010011AC\t0003\t0\t0\t0\t00000000\t0\t0\t0\n" + local) == "172.17.0.1"
    )
    assert default_gateway("") is None


def test_the_offset_of_two_clocks_comes_from_the_quickest_answer():
    """Off by half of the round trip at most."""
    slow, quick = (100.0, 107.9, 101.0), (200.0, 207.05, 200.1)
    offset = closest([slow, quick])
    assert offset.seconds == pytest.approx(7.0)
    assert offset.uncertainty_s == pytest.approx(0.05)


def test_the_engines_times_are_read_with_all_their_digits():
    """Nanoseconds, with `Z` or an offset."""
    assert seconds_of("2026-01-01T00:00:00.123456789Z") == pytest.approx(1767225600.123456)
    assert seconds_of("2026-01-01T01:00:00+01:00") == 1767225600
    with pytest.raises(ValueError, match="Invalid"):
        seconds_of("None")
