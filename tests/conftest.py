"""Fixtures that every folder of tests may use."""

import os
from pathlib import Path

import hypothesis
import pytest

from tests.alone import Alone, Turns
from tests.mlflow_fixtures import *  # noqa: F403  (pytest finds fixtures by name in this module)

# The same examples in every run: a failure here must be a change of ours and not of the dice.
hypothesis.settings.register_profile("mlgate", derandomize=True, database=None, deadline=None)
hypothesis.settings.load_profile("mlgate")


def pytest_configure(config: pytest.Config) -> None:
    """Take turns where this is one of several workers; the runs of pytest that tests start are none of them."""
    if hasattr(config, "workerinput"):
        config.pluginmanager.register(Alone(Turns(Path(config.option.basetemp).parent)))
        for name in [name for name in os.environ if name.startswith("PYTEST_XDIST_")]:
            del os.environ[name]
