"""The metrics that a policy names, ours and the user's own, ready to be computed."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from mlgate.errors import PolicyError
from mlgate.evaluation.metric_names import METRICS, Better, Need, better_of
from mlgate.evaluation.metrics.catalogue import find_metric
from mlgate.evaluation.metrics.custom import custom_metric
from mlgate.evaluation.metrics.interface import Metric
from mlgate.evaluation.user_function import load_function
from mlgate.policy_accuracy import Accuracy


def metrics_of(
    accuracy: Accuracy, folder: Path, *, classification: bool, model_directories: Sequence[Path] = ()
) -> dict[str, Metric]:
    """Return every metric of `accuracy.metrics` and `accuracy.gaps`, by its name there.

    Args:
        accuracy: The policy's section.
        folder: The policy's: the user's own functions are files in it.
        classification: Whether the truth is classes; what a user's function gets as the prediction follows.
        model_directories: Where no function may come from.

    Raises:
        PolicyError: A function can not be imported, or takes what is not there.
    """
    found: dict[str, Metric] = {}
    for name in dict.fromkeys([*accuracy.metrics, *(gap.metric for gap in accuracy.gaps)]):
        if name in METRICS:
            spec = accuracy.metrics.get(name)
            found[name] = find_metric(name, None if spec is None else spec.at)
        else:
            found[name] = _own(name, accuracy, folder, classification, model_directories)
    return found


def needs_of(metrics: Mapping[str, Metric]) -> frozenset[Need]:
    """Return what all metrics together need of the answers."""
    return frozenset(need for metric in metrics.values() for need in metric.facts.needs)


def _own(
    name: str, accuracy: Accuracy, folder: Path, classification: bool, model_directories: Sequence[Path]
) -> Metric:
    spec = accuracy.metrics[name]
    function = load_function(name, folder, model_directories=model_directories)
    stated = None if spec.better is None else Better(spec.better)
    better = better_of(low=spec.min, high=spec.max, better=stated)
    try:
        metric = custom_metric(name, function, better=better or Better.MORE, classification=classification)
    except ValueError as error:
        raise PolicyError(f"accuracy.metrics.{name}: {error}", hint="def cost(truth, prediction): …") from error
    if Need.GROUP in metric.facts.needs and accuracy.group is None:
        raise PolicyError(f"accuracy.metrics.{name}: takes the group", hint="name its column in accuracy.group")
    return metric
