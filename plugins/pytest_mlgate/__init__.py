"""The pytest plugin of mlgate. Loading it imports nothing heavy."""

import pytest

# Without this, an assert inside a suite shows no values in an editable install (pytest-dev/pytest#11783).
pytest.register_assert_rewrite("mlgate_suites")
