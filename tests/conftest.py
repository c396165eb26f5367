"""Fixtures that every folder of tests may use."""

import hypothesis

from tests.mlflow_fixtures import *  # noqa: F403  (pytest finds fixtures by name in this module)

# The same examples in every run: a failure here must be a change of ours and not of the dice.
hypothesis.settings.register_profile("mlgate", derandomize=True, database=None, deadline=None)
hypothesis.settings.load_profile("mlgate")
