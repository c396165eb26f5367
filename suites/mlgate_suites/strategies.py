"""Hypothesis strategies over an input space: hypothesis draws the structure and the seed, numpy the rows."""

import tempfile
from collections.abc import Callable
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.configuration import set_hypothesis_home_dir

from mlgate.scoring.input_space import InputSpace, Mode
from mlgate.scoring.payloads import Batch

# One request carries this many rows: 500 rows/s is hypothesis' own speed, one numpy batch is thousands.
ROWS_PER_BATCH = 50
_MAX_SEED = 2**32 - 1


def batches(space: InputSpace, *, rows: int) -> st.SearchStrategy[Batch]:
    """Return batches of *rows* valid rows; each column is spread, at its edges, at its default, or mixed."""
    names = [domain.name for domain in space.domains]
    modes = st.fixed_dictionaries({name: st.sampled_from([None, *Mode]) for name in names})
    drawn = st.tuples(st.integers(0, _MAX_SEED), modes)
    return drawn.map(lambda plan: space.sample(rows, seed=plan[0], modes=_filled(plan[1])))


def _filled(modes: dict[str | int | None, Mode | None]) -> dict[str | int | None, Mode]:
    return {name: mode for name, mode in modes.items() if mode is not None}


def explore(
    space: InputSpace, visit: Callable[[Batch], None], *, examples: int, seed_value: int, folder: Path | None = None
) -> None:
    """Call *visit* with batches until *examples* rows were drawn; the same seed gives the same rows.

    *folder* is where hypothesis may keep its own files meanwhile; default: the temporary directory.

    Hypothesis' own shrinking is off: it can not shrink a row that numpy drew, and each probe costs a request.
    """
    rows = min(ROWS_PER_BATCH, examples)

    @seed(seed_value)
    @settings(
        max_examples=max(1, -(-examples // rows)),
        database=None,
        deadline=None,
        derandomize=False,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
    @given(batches(space, rows=rows))
    def run(batch: Batch) -> None:
        visit(batch)

    # Without this, hypothesis leaves a folder `.hypothesis` wherever somebody tests a model.
    with tempfile.TemporaryDirectory(prefix="hypothesis-", dir=folder) as home:
        set_hypothesis_home_dir(home)
        try:
            run()
        finally:
            set_hypothesis_home_dir(None)
