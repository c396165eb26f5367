"""Batches of valid rows: hypothesis draws the structure and the seed, numpy the rows."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.configuration import set_hypothesis_home_dir

from mlgate.generation.input_space import InputSpace
from mlgate.generation.interface import Mode
from mlgate.scoring.payloads import Batch

_MAX_SEED = 2**32 - 1
# Columns that a plan fills otherwise than the rest; more of them at once is what the base modes are for.
_MOST_SPECIAL = 6
# Columns that are drawn while the others keep their defaults.
_MOST_ALONE = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How to fill one batch.

    Attributes:
        seed: Of numpy's draws.
        base: How columns are filled.
        special: Place of a column, and how it is filled instead.
    """

    seed: int
    base: Mode
    special: tuple[tuple[int, Mode], ...] = ()

    def sample(self, space: InputSpace, rows: int) -> Batch:
        """Draw *rows* rows."""
        modes = {domain.name: self.base for domain in space.domains}
        modes |= {space.domains[place].name: mode for place, mode in self.special}
        return space.sample(rows, seed=self.seed, modes=modes)


def plans(space: InputSpace, count: int, *, seed_value: int, folder: Path | None = None) -> list[Plan]:
    """Return *count* plans; the same seed gives the same ones.

    The first two are spread and edges in all columns at once, whatever hypothesis draws: a short run must have had both.

    Args:
        space: What is filled.
        count: At least 1.
        seed_value: Any whole number.
        folder: Where hypothesis may keep its own files meanwhile; default: the temporary directory.
    """
    opening = [Plan(seed=seed_value & _MAX_SEED, base=Mode.MIXED), Plan(seed=~seed_value & _MAX_SEED, base=Mode.EDGES)]
    drawn = opening[:count]
    if count <= len(opening):
        return drawn

    @seed(seed_value)
    @settings(
        max_examples=count - len(opening),
        database=None,
        deadline=None,
        derandomize=False,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
    @given(_plan(space))
    def draw(plan: Plan) -> None:
        drawn.append(plan)

    with hypothesis_home(folder):
        draw()
    return drawn[:count]


def _plan(space: InputSpace) -> st.SearchStrategy[Plan]:
    """Return plans of two kinds: all columns drawn and some otherwise, or few drawn and the rest at their defaults."""
    seeds = st.integers(0, _MAX_SEED)
    some = st.lists(st.sampled_from(_manners(space, Mode.EDGES, Mode.SPREAD, Mode.DEFAULT)), max_size=_MOST_SPECIAL)
    few = st.lists(st.sampled_from(_manners(space, Mode.MIXED, Mode.EDGES)), min_size=1, max_size=_MOST_ALONE)
    bases = st.sampled_from([Mode.MIXED, Mode.SPREAD, Mode.EDGES])
    wide = st.builds(Plan, seed=seeds, base=bases, special=some.map(tuple))
    alone = st.builds(Plan, seed=seeds, base=st.just(Mode.DEFAULT), special=few.map(tuple))
    # Where there are few columns, most batches of the second kind would be alike.
    return st.one_of(wide, wide, alone) if len(space.domains) > _MOST_ALONE else wide


def _manners(space: InputSpace, *modes: Mode) -> list[tuple[int, Mode]]:
    return [
        (place, mode)
        for place, domain in enumerate(space.domains)
        for mode in (*modes, *([Mode.NULL] if domain.nullable else []))
    ]


def batches(
    space: InputSpace, *, examples: int, rows: int, seed_value: int, folder: Path | None = None
) -> Iterator[Batch]:
    """Yield *examples* valid rows in batches of at most *rows*; the same seed gives the same rows."""
    left = examples
    for place, plan in enumerate(plans(space, -(-examples // rows), seed_value=seed_value, folder=folder)):
        # Hypothesis likes to draw a number again: the same rows would be tried twice.
        own = replace(plan, seed=plan.seed + (place << 32))
        yield own.sample(space, min(rows, left) if space.request_rows is None else rows)
        left -= rows


@contextmanager
def hypothesis_home(folder: Path | None) -> Iterator[None]:
    """Let hypothesis keep its files in *folder* for the length of the block."""
    # Without this, hypothesis leaves a folder `.hypothesis` wherever somebody tests a model.
    with tempfile.TemporaryDirectory(prefix="hypothesis-", dir=folder) as home:
        set_hypothesis_home_dir(home)
        try:
            yield
        finally:
            set_hypothesis_home_dir(None)
