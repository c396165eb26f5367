"""Mean losses: of one model, and challenger minus champion on the same rows.

Student's t with Johnson's correction where the rows' differences are hardly skewed, else the Bayesian bootstrap with
pseudo-rows (`column_means.py`). Simulated one-sided error at the margin, at 95 %: see
tests/unit/statistics/test_mean_losses.py.
"""

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from mlgate.statistics.arguments import check_lengths, finite_vector
from mlgate.statistics.column_means import group_units, mean_interval, unseen_losses
from mlgate.statistics.discordance import FEW_ROWS, differing_rows
from mlgate.statistics.interval import Interval, Undefined
from mlgate.statistics.shares import check_confidence

# The smallest n that was simulated: of unbounded losses, and of losses that have a largest.
MIN_ROWS = 100
MIN_BOUNDED_ROWS = 20


def mean_loss_interval(
    losses: npt.ArrayLike,
    confidence: float,
    *,
    seed: int,
    group: npt.ArrayLike | None = None,
    largest: float | None = None,
) -> Interval | Undefined:
    """Estimate one model's mean loss, for a floor.

    Args:
        losses: Per row, shape (n,), >= 0.
        confidence: Of each bound, in (0.5, 1).
        seed: Same seed, same bounds.
        group: Integer code of each row's group, shape (n,), where rows are not independent.
        largest: What no loss can exceed; `None` where losses are unbounded.

    Returns:
        The interval in the unit of the loss; `Undefined` for too few rows or groups, or unbounded losses that hardly
        vary.

    Raises:
        ValueError: A loss is NaN, infinite or beyond *largest*, lengths differ, or the confidence is out of range.
    """
    values = _losses("losses", losses, largest)
    check_confidence(confidence)
    refused = _too_few(values.size, largest)
    if refused is not None:
        return refused
    if largest is None and differing_rows(values) < FEW_ROWS:
        return Undefined(reason=f"fewer than {FEW_ROWS} of {values.size} losses differ", n=values.size)
    return mean_interval(
        group_units(values, group),
        confidence,
        seed=seed,
        imagined=None if largest is None else np.array([[0.0], [largest]]),
        limits=(0.0, math.inf if largest is None else largest),
    )


def paired_mean_loss_interval(
    challenger: npt.ArrayLike,
    champion: npt.ArrayLike,
    confidence: float,
    *,
    seed: int,
    group: npt.ArrayLike | None = None,
    largest: float | None = None,
) -> Interval | Undefined:
    """Estimate the challenger's minus the champion's mean loss; positive means worse. Never of zero width.

    Args:
        challenger: Losses per row, shape (n,), >= 0.
        champion: Losses, same rows in the same order.
        confidence: Of each bound, in (0.5, 1).
        seed: Same seed, same bounds. Swapping the models mirrors the interval exactly.
        group: Integer code of each row's group, shape (n,), where rows are not independent.
        largest: What no loss can exceed; `None` where losses are unbounded.

    Returns:
        The interval in the unit of the loss; `Undefined` for too few rows or groups, or where hardly more than one row
        carries the difference.

    Raises:
        ValueError: A loss is NaN, infinite or beyond *largest*, lengths differ, or the confidence is out of range.
    """
    new, old = _losses("challenger", challenger, largest), _losses("champion", champion, largest)
    check_lengths(challenger=new.size, champion=old.size)
    check_confidence(confidence)
    refused = _too_few(new.size, largest)
    if refused is not None:
        return refused
    imagined = unseen_losses(new, old, largest)
    differences = new - old
    widest = math.inf if largest is None else largest
    found = mean_interval(
        group_units(differences, group),
        confidence,
        seed=seed,
        imagined=(imagined[:, 0] - imagined[:, 1])[:, np.newaxis],
        limits=(-widest, widest),
        bounded=largest is not None,
    )
    if isinstance(found, Undefined):
        return found
    return replace(found, details={**found.details, "differing": differing_rows(differences)})


def _losses(name: str, losses: npt.ArrayLike, largest: float | None) -> npt.NDArray[np.float64]:
    values = finite_vector(name, losses)
    if largest is not None and values.max(initial=0.0) > largest * (1 + 1e-9):
        raise ValueError(f"{name}: a loss exceeds the largest possible one, {largest}")
    return values


def _too_few(n: int, largest: float | None) -> Undefined | None:
    least = MIN_ROWS if largest is None else MIN_BOUNDED_ROWS
    if n >= least:
        return None
    return Undefined(reason=f"{n} rows are fewer than {least}" if n else "no rows", n=n)
