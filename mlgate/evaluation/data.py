"""Read evaluation data: what names it, its truth, keys and groups now; its features when a model is asked about them."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from mlgate.artifacts.signature import Schema
from mlgate.errors import DataError
from mlgate.evaluation.logged_dataset import LoggedSource
from mlgate.evaluation.rows import EvaluationData, Truth
from mlgate.evaluation.sources import find_files

if TYPE_CHECKING:
    from mlgate.policy_accuracy import Accuracy


def load_data(
    accuracy: "Accuracy", inputs: Schema | None, *, folder: Path, logged: LoggedSource | None = None
) -> EvaluationData:
    """Read the evaluation data that the policy names: once, for digest and truth. Nothing is started for it.

    Memory grows with keys, labels, groups and the columns of slices and gaps, and not with the features.

    Args:
        accuracy: The policy's section; `label` is set.
        inputs: The input signature: which columns are features, and in which order.
        folder: Relative paths start here.
        logged: Where the data are, where the policy does not say it.

    Raises:
        DataError: Missing, unreadable, changed meanwhile, empty, without a column that is needed, a column of a type
            that does not fit, a null label or group, a duplicate key, a class that the policy does not list.
    """
    # Not at the top: pyarrow takes 0.2 s that a run without data need not pay.
    from mlgate.evaluation.feature_rows import FileFeatures  # noqa: PLC0415
    from mlgate.evaluation.first_pass import FirstPass  # noqa: PLC0415
    from mlgate.evaluation.layout import find_layout  # noqa: PLC0415

    logged = None if accuracy.data else logged
    source = accuracy.data or (logged.location if logged else None)
    if source is None:
        raise DataError("accuracy.data is not set, and there is no logged dataset", hint="name a file: accuracy.data")
    if not accuracy.label:
        raise DataError(f"{source}: accuracy.label is not set", hint="name the column that holds the truth")
    layout = find_layout(accuracy, inputs, source, find_files(source, folder))
    found = FirstPass(accuracy, layout).run()
    if logged is not None and logged.rows not in (None, found.count):
        raise DataError(
            f"{source}: {found.count} rows, and the dataset that was logged has {logged.rows}: they are not the same",
            hint="log the evaluation rows as a file of their own, or name them in accuracy.data",
        )
    return EvaluationData(
        source=source,
        digest=f"sha256:{hashlib.sha256(b''.join(found.digests)).hexdigest()}",
        truth=found.truth,
        keys=found.keys,
        features=FileFeatures(
            tables=layout.tables,
            inputs=layout.inputs,
            csv_types=found.feature_types,
            digests=tuple(found.digests),
            rows=tuple(found.rows),
        ),
        group=found.group,
        context=found.context,
        warnings=_warnings(accuracy, found.truth, source),
    )


def _warnings(accuracy: "Accuracy", truth: Truth, source: str) -> tuple[str, ...]:
    if truth.codes is not None and len(truth.found) == 1:
        return (f"{source}: every label '{accuracy.label}' is {truth.found[0]!r}: nothing is said of other classes",)
    return ()
