"""The `MLmodel` file, read as data: safe YAML, bounded, and only the keys that mlgate uses.

A model directory is a program (CVE-2024-37052 and kin; `loader_module` needs no pickle at all). Nothing here imports,
unpickles or follows anything the file names.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import yaml

from mlgate.errors import ModelDirectoryError

# A signature of 5 000 columns takes about 0.5 MiB; the limit only keeps a hostile file out of memory.
MAX_BYTES = 8 * 1024 * 1024
# MLflow's own files nest five deep; libyaml and the constructor recurse.
MAX_DEPTH = 50
_SAFE_TAGS = frozenset(f"tag:yaml.org,2002:{name}" for name in ("str", "null", "bool", "map", "seq", "binary"))
# Keys of a flavour that hold a path below the model directory.
_PATH_KEYS = ("code", "data", "model_path", "pickled_model", "model_data", "env")
_PYTHON = re.compile(r"\d{1,2}\.\d{1,3}(\.\d{1,3})?")


class _DataLoader(yaml.CSafeLoader):
    """The safe loader with plain scalars read as text, booleans, null and decimal integers only.

    YAML 1.1 also knows base-60 integers, which take quadratic time, dates, which are no JSON, and decimal numbers,
    which make Python 3.1 of an unquoted 3.10.
    """


_DataLoader.yaml_implicit_resolvers = {}
for _name, _pattern, _first in (
    ("null", r"(~|null|Null|NULL|)\Z", [*"~nN", ""]),
    ("bool", r"(true|True|TRUE|false|False|FALSE)\Z", [*"tTfF"]),
    ("int", r"(0|-?[1-9][0-9]{0,18})\Z", [*"-0123456789"]),
):
    _DataLoader.add_implicit_resolver(f"tag:yaml.org,2002:{_name}", re.compile(_pattern), _first)


@dataclass(frozen=True, slots=True, kw_only=True)
class MLmodel:
    """What mlgate reads of an `MLmodel` file.

    Attributes:
        raw: The whole file as plain values; unknown keys are kept, MLflow adds some with each version.
        flavors: Flavour name to its settings; never empty.
        model_id: Logged model, `m-…`.
        run_id: Run that logged it.
        mlflow_version: MLflow that wrote it.
        python_version: Python it was saved under, `3.11` or `3.11.4`.
        conda_env: Path of the conda environment, below the directory.
        virtualenv_env: Path of `python_env.yaml`, below the directory.
        input_example: Path of the logged example.
        serving_example: Path of the example as a request body.
    """

    raw: Mapping[str, Any]
    flavors: Mapping[str, Mapping[str, Any]]
    model_id: str | None
    run_id: str | None
    mlflow_version: str | None
    python_version: str | None
    conda_env: str | None
    virtualenv_env: str | None
    input_example: str | None
    serving_example: str | None


def read_yaml(raw: bytes, *, name: str) -> Any:
    """Return the plain values of a YAML document.

    Args:
        raw: Its bytes.
        name: The file's name, for messages.

    Raises:
        ModelDirectoryError: Too large, no YAML, anchors or aliases, too deep, or a tag that is no plain value.
    """
    if len(raw) > MAX_BYTES:
        raise ModelDirectoryError(f"{name} has {len(raw)} bytes, more than {MAX_BYTES}")
    try:
        text = raw.decode("utf-8")
        _check_events(text, name)
        return yaml.load(text, Loader=_DataLoader)  # noqa: S506 - a safe loader with fewer types
    except ModelDirectoryError:
        raise
    except (yaml.YAMLError, ValueError, RecursionError, OverflowError) as error:
        first = next(iter(str(error).splitlines()), type(error).__name__)
        raise ModelDirectoryError(f"{name} is not plain YAML ({first[:200]})") from error


def _check_events(text: str, name: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        # Few lines of nested aliases unfold into gigabytes ("billion laughs").
        if getattr(event, "anchor", None) is not None:
            raise ModelDirectoryError(f"{name} holds a YAML anchor or alias, which mlgate does not read")
        if depth > MAX_DEPTH:
            raise ModelDirectoryError(f"{name} nests deeper than {MAX_DEPTH}")
        tag = getattr(event, "tag", None)
        if tag not in (None, "!") and tag not in _SAFE_TAGS:
            raise ModelDirectoryError(f"{name} holds the YAML tag '{tag[:80]}', which is no plain value")


def parse_mlmodel(raw: bytes) -> MLmodel:
    """Read the bytes of an `MLmodel` file.

    Raises:
        ModelDirectoryError: Not plain YAML, a value of the wrong type, or a path that leaves the directory.
    """
    document = read_yaml(raw, name="MLmodel")
    if not isinstance(document, dict) or not all(isinstance(key, str) for key in document):
        raise ModelDirectoryError("MLmodel is not a mapping")
    flavors = document.get("flavors")
    if not isinstance(flavors, dict) or not flavors:
        raise ModelDirectoryError("MLmodel: flavors is missing or empty")
    for name, settings in flavors.items():
        if not isinstance(name, str) or not isinstance(settings, dict):
            raise ModelDirectoryError(f"MLmodel: flavors.{name} is not a mapping")
        for place, path in _paths(settings):
            inside(path, place=f"flavors.{name}.{place}")
    pyfunc = flavors.get("python_function", {})
    environment = pyfunc.get("env")
    if isinstance(environment, str):  # before MLflow 2 it was the conda file alone
        environment = {"conda": environment}
    environment = _mapping(environment, "flavors.python_function.env")
    example = _mapping(document.get("saved_input_example_info"), "saved_input_example_info")
    return MLmodel(
        raw=document,
        flavors=flavors,
        model_id=_text(document, "model_id"),
        run_id=_text(document, "run_id"),
        mlflow_version=_text(document, "mlflow_version"),
        python_version=python_version(_text(pyfunc, "python_version"), place="flavors.python_function.python_version"),
        conda_env=_path(environment, "conda", "flavors.python_function.env"),
        virtualenv_env=_path(environment, "virtualenv", "flavors.python_function.env"),
        input_example=_path(example, "artifact_path", "saved_input_example_info"),
        serving_example=_path(example, "serving_input_path", "saved_input_example_info"),
    )


def inside(path: str, *, place: str) -> str:
    """Return the relative *path* as it is, or refuse it.

    Raises:
        ModelDirectoryError: Absolute, with `..`, empty, or with control characters.
    """
    pure = PurePosixPath(path)
    if not path or pure.is_absolute() or ".." in pure.parts or "\\" in path or not path.isprintable():
        raise ModelDirectoryError(
            f"MLmodel: {place} names {path[:200]!r}, which is not a path below the model directory"
        )
    return path


def python_version(text: str | None, *, place: str) -> str | None:
    """Return a Python version as MLflow writes it; it becomes part of an image name, so nothing else passes."""
    if text is None or _PYTHON.fullmatch(text):
        return text
    raise ModelDirectoryError(f"MLmodel: {place} is {text[:80]!r}, not a Python version")


def _paths(settings: Mapping[Any, Any]) -> Iterator[tuple[str, str]]:
    for key in _PATH_KEYS:
        value = settings.get(key)
        if isinstance(value, str) and value:
            yield key, value
        elif isinstance(value, dict):
            yield from ((f"{key}.{inner}", path) for inner, path in value.items() if isinstance(path, str) and path)


def _mapping(value: Any, place: str) -> Mapping[Any, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ModelDirectoryError(f"MLmodel: {place} is not a mapping")
    return value


def _text(mapping: Mapping[Any, Any], key: str) -> str | None:
    value = mapping.get(key)
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)  # an unquoted `python_version: 3.9`
    if value is not None and not isinstance(value, str):
        raise ModelDirectoryError(f"MLmodel: {key} is not text")
    return value or None


def _path(mapping: Mapping[Any, Any], key: str, place: str) -> str | None:
    value = mapping.get(key)
    if value is None:
        return None
    if not isinstance(value, str):
        raise ModelDirectoryError(f"MLmodel: {place}.{key} is not text")
    return inside(value, place=f"{place}.{key}")
