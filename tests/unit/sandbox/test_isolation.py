from dataclasses import replace

import pytest

from mlgate.cli.doctor_engine import isolation_words
from mlgate.sandbox.isolation import CPUS, MEMORY, PIDS, read

HELD = {
    "memory": str(MEMORY),
    "pids": str(PIDS),
    "cpu": "73000 100000",
    "seccomp": "2",
    "no_new_privs": "1",
    "capabilities": "0000000000000000",
    "label": "docker-default (enforce)",
    "uid_map": ["0", "0", "4294967295"],
    "uid": 65534,
    "interfaces": ["lo"],
    "writable": False,
}


def test_a_container_that_got_everything_lacks_nothing():
    """As a rootful engine of today gives it."""
    held = read(HELD)
    assert held.missing == ()
    assert held.label == "docker-default (enforce)"
    assert not held.user_namespace
    assert read({**HELD, "uid_map": ["0", "100000", "65536"]}).user_namespace
    assert read({**HELD, "label": "unconfined\n"}).label == ""


@pytest.mark.parametrize(
    ("said", "missing"),
    [
        ({"memory": "max"}, "memory"),
        ({"pids": ""}, "pids"),
        ({"cpu": "max 100000"}, "cpu"),
        ({"cpu": "-1 100000"}, "cpu"),
        ({"cpu": " "}, "cpu"),
        ({"seccomp": "0"}, "seccomp"),
        ({"no_new_privs": "0"}, "no new privileges"),
        ({"capabilities": "00000000a80425fb"}, "no capabilities"),
        ({"capabilities": ""}, "no capabilities"),
        ({"writable": True}, "read only"),
        ({"interfaces": ["eth0", "lo"]}, "no network"),
    ],
)
def test_what_an_engine_took_and_did_not_do_is_named(said, missing):
    """Rootless engines without delegation, for instance, take limits and ignore them."""
    held = read({**HELD, **said})
    assert held.missing == (missing,)
    assert isolation_words(held).startswith(f"NOT in force: {missing};")
    assert isolation_words(replace(read(HELD), user_namespace=True)).startswith("in force: ")
    assert CPUS
