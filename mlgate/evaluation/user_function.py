"""Find and import the user's own metric, from the policy's folder and from nowhere else."""

import importlib
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from mlgate.errors import PolicyError
from mlgate.evaluation.metric_names import Better
from mlgate.evaluation.metrics.custom import CustomMetric, custom_metric

# `module:function`; no path, no attribute of an attribute.
NAME = re.compile(r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*$")


def load_function(name: str, folder: Path, *, model_directories: Sequence[Path] = ()) -> Callable[..., Any]:
    """Import the function that a policy's `metrics` names.

    A model directory is a program and is never run on the host: a module in one is refused, before it is imported.

    Args:
        name: `my_pkg.metrics:cost`.
        folder: The policy's; the module must be a file in it.
        model_directories: Those known; any folder with an `MLmodel` file counts as one, too.

    Raises:
        PolicyError: There is no such module or function, it lies elsewhere or in a model directory, or it can not be
            imported.
    """
    if not NAME.match(name):
        raise _wrong(name, "is not of the form module:function")
    module_name, _, attribute = name.partition(":")
    path = _locate(name, module_name, folder)
    for directory in (*model_directories, *_with_mlmodel(path, folder)):
        if path.is_relative_to(directory.resolve()):
            raise _wrong(name, f"lies in the model directory {directory}, which is never run on the host")
    module = _import(name, module_name, path, folder)
    function = getattr(module, attribute, None)
    if not callable(function):
        raise _wrong(name, f"{path.name} has no function {attribute}")
    found: Callable[..., Any] = function
    return found


def load_metric(
    name: str,
    folder: Path,
    *,
    better: Better,
    classification: bool,
    model_directories: Sequence[Path] = (),
) -> CustomMetric:
    """Import the function that a policy names, and make it a metric.

    Args:
        name: `my_pkg.metrics:cost`.
        folder: The policy's.
        better: Which way is better: `metric_names.better_of`.
        classification: Whether the model's predictions are classes.
        model_directories: As for `load_function`.

    Raises:
        PolicyError: As for `load_function`, or the function takes what there is not.
    """
    function = load_function(name, folder, model_directories=model_directories)
    try:
        return custom_metric(name, function, better=better, classification=classification)
    except ValueError as error:
        raise _wrong(name, str(error)) from error


def _locate(name: str, module_name: str, folder: Path) -> Path:
    """Return the module's file, links followed, without importing anything."""
    root = folder.resolve()
    stem = root.joinpath(*module_name.split("."))
    found = next((path for path in (stem.with_suffix(".py"), stem / "__init__.py") if path.is_file()), None)
    if found is None:
        raise _wrong(name, f"there is no {stem.relative_to(root)}.py in {root}")
    path = found.resolve()
    if not path.is_relative_to(root):
        raise _wrong(name, f"{found} leads out of the policy's folder")
    return path


def _with_mlmodel(path: Path, folder: Path) -> list[Path]:
    root = folder.resolve()
    return [parent for parent in path.parents if parent.is_relative_to(root) and (parent / "MLmodel").is_file()]


def _import(name: str, module_name: str, path: Path, folder: Path) -> ModuleType:
    # First in line, so that the user's package is not hidden by an installed one of the same name.
    sys.path.insert(0, str(folder.resolve()))
    importlib.invalidate_caches()
    try:
        module = importlib.import_module(module_name)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        raise _wrong(name, f"can not be imported ({type(error).__name__}: {error})") from error
    finally:
        sys.path.remove(str(folder.resolve()))
    loaded = getattr(module, "__file__", None)
    if loaded is None or Path(loaded).resolve() != path:
        raise _wrong(name, f"the name {module_name} is taken by {loaded or 'a built-in module'}: rename yours")
    return module


def _wrong(name: str, what: str) -> PolicyError:
    return PolicyError(
        f"accuracy.metrics.{name}: {what}", hint="name a function in a file beside the policy: my_metrics:cost"
    )
