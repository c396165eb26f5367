"""What every function here refuses: NaN, unequal lengths, a confidence that is none."""

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


def check_counts(n: float, *counts: float) -> None:
    """Refuse counts that are negative or sum to more than *n*. Counts need not be whole (effective sample sizes).

    Raises:
        ValueError: A count is negative or NaN, or the counts exceed *n*.
    """
    # Written as "not all hold", because every comparison with NaN is false.
    if not (all(count >= 0 for count in counts) and sum(counts) <= n):
        message = f"counts {counts} do not fit in n = {n}"
        raise ValueError(message)


def finite_vector(name: str, values: npt.ArrayLike) -> Vector:
    """Convert to a one-dimensional float array.

    Raises:
        ValueError: More than one dimension, or a NaN or infinite element.
    """
    vector = np.asarray(values, dtype=np.float64)
    if vector.ndim != 1:
        message = f"{name} has shape {vector.shape}; one dimension is expected"
        raise ValueError(message)
    if not np.isfinite(vector).all():
        message = f"{name} contains NaN or infinite values"
        raise ValueError(message)
    return vector


def binary_mask(name: str, values: npt.ArrayLike) -> Mask:
    """Convert 0/1 (or boolean) values to a boolean array.

    Raises:
        ValueError: More than one dimension, or a value other than 0 and 1.
    """
    vector = finite_vector(name, values)
    if not np.isin(vector, (0.0, 1.0)).all():
        message = f"{name} contains values other than 0 and 1"
        raise ValueError(message)
    mask: Mask = vector == 1.0
    return mask


def positive_mask(name: str, labels: npt.ArrayLike, positive: object) -> Mask:
    """Say which *labels* equal *positive*. Labels may be of any type that compares with `==`.

    Raises:
        ValueError: More than one dimension, or a missing label (None, or unequal to itself as NaN is).
    """
    values = np.asarray(labels)
    if values.ndim != 1:
        message = f"{name} has shape {values.shape}; one dimension is expected"
        raise ValueError(message)
    as_list = values.tolist()
    if any(value is None or value != value for value in as_list):  # noqa: PLR0124 - only NaN is unequal to itself, and this holds for any type of label
        message = f"{name} contains missing labels"
        raise ValueError(message)
    return np.fromiter((value == positive for value in as_list), dtype=np.bool_, count=len(as_list))


def check_lengths(**lengths: int) -> None:
    """Refuse vectors of unequal length; the names are for the message.

    Raises:
        ValueError: The lengths differ.
    """
    if len(set(lengths.values())) > 1:
        message = f"lengths differ: {lengths}"
        raise ValueError(message)
