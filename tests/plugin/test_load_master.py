"""MLGATE_LOAD_MASTER: where the workers of a run come from."""

import pytest


@pytest.mark.parametrize("address", ["nonsense", "127.0.0.1", ":5557", "127.0.0.1:0", "127.0.0.1:65536", "http://a:1"])
def test_an_address_that_is_none_is_refused_with_one_line(gated, monkeypatch, address):
    """Before a server is started that nobody can be sent to."""
    gated.policy("load")
    monkeypatch.setenv("MLGATE_LOAD_MASTER", address)
    assert f"MLGATE_LOAD_MASTER: '{address}' is no HOST:PORT" in gated.refusal(gated.run())
    assert gated.leftovers == []


def test_a_run_without_load_does_not_look_at_it(gated, monkeypatch):
    """It may be set for a whole pipeline."""
    monkeypatch.setenv("MLGATE_LOAD_MASTER", "nonsense")
    assert gated.run("--mlgate-suite", "schema").ret == 0
