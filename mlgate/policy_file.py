"""Read `mlgate.yaml`: line numbers, suggestions, and where each value came from."""

import difflib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import YAMLError

from mlgate.errors import PolicyError
from mlgate.policy import Policy, PolicyValues

FILE_NAME = "mlgate.yaml"
# Without a cap, a policy of a few kB of YAML aliases would eat the memory of the host.
MAX_POLICY_BYTES = 1_000_000
# Keys of the design whose check is not built yet. Accepting one silently would look like a check that passed.
NOT_BUILT = (
    "schema.compatible_with_champion",
    "properties.output",
    "properties.invariant_to",
    "properties.monotonic",
    "properties.regressions",
    "accuracy.group",
    "accuracy.slices",
    "cold_start.peak_memory",
    "cold_start.max_ratio_to_champion",
    "load.max_ratio_to_champion",
    "load.profile",
    "load.workers",
    "load.find_capacity",
    "rollout",
    "promotion",
)
NOT_BUILT_VALUES = {
    ("schema.rejects", "strict"): "basic",
    ("runtime.server", "mlserver"): "mlflow",
    ("evidence.rows", "full"): "synthetic",
}


def find_policy(start: Path) -> Path | None:
    """Return the nearest `mlgate.yaml` from *start* upward, or `None`."""
    return next((folder / FILE_NAME for folder in (start, *start.parents) if (folder / FILE_NAME).is_file()), None)


def load_policy(path: Path | None, *, start: Path | None = None) -> Policy:
    """Read the policy.

    Args:
        path: The file; `None` looks for `mlgate.yaml` upward from *start*, else takes the built-in policy.
        start: Where to look from; default: the working directory.

    Raises:
        PolicyError: Unreadable, not YAML, or a value that can not be met; names the file, the line and the key.
    """
    found = path or find_policy((start or Path.cwd()).resolve())
    if found is None:
        return Policy()
    try:
        if found.stat().st_size > MAX_POLICY_BYTES:
            raise PolicyError(f"{found}: larger than {MAX_POLICY_BYTES} bytes")
        text = found.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyError(f"{found}: can not be read ({error})", hint="mlgate init writes one") from error
    return parse_policy(text, path=found.resolve())


def parse_policy(text: str, *, path: Path | None = None) -> Policy:
    """Read a policy from *text*; see `load_policy`."""
    name = path.name if path else FILE_NAME
    try:
        document = YAML(typ="rt").load(text)
    except (YAMLError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{name}:{mark.line + 1}" if mark else name
        raise PolicyError(f"{where}: not YAML ({getattr(error, 'problem', None) or error})") from error
    if document is None:
        document = CommentedMap()
    if not isinstance(document, CommentedMap):
        raise PolicyError(f"{name}:1: a policy is a mapping of keys, this is a {type(document).__name__}")
    lines = dict(_lines(document))
    _refuse_not_built(document, lines, name)
    try:
        values = PolicyValues.model_validate(_plain(document))
    except ValidationError as error:
        raise _teach(error, lines, name) from error
    return Policy(values=values, text=text, path=path, origins=lines)


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of `mlgate.yaml`, for editors and for `check-jsonschema`."""
    schema = PolicyValues.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def with_origins(policy: Policy) -> Iterator[tuple[str, Any, str]]:
    """Yield each effective value as dotted key, value and origin (`mlgate.yaml:14` or `default`)."""
    name = policy.path.name if policy.path else FILE_NAME
    for key, value in _leaves(policy.effective()):
        line = policy.origins.get(key)
        yield key, value, f"{name}:{line}" if line else "default"


def _leaves(document: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in document.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _lines(node: CommentedMap, prefix: str = "") -> Iterator[tuple[str, int]]:
    for key, value in node.items():
        path = f"{prefix}{key}"
        yield path, node.lc.key(key)[0] + 1
        if isinstance(value, CommentedMap):
            yield from _lines(value, f"{path}.")


def _plain(node: object) -> Any:
    if isinstance(node, CommentedMap):
        return {str(key): _plain(value) for key, value in node.items()}
    if isinstance(node, CommentedSeq):
        return [_plain(value) for value in node]
    # ruamel keeps how a number was written in subclasses of int, float and str; pydantic's strict mode wants the plain.
    for kind in (bool, int, float, str):
        if isinstance(node, kind):
            return kind(node)
    return node


def _refuse_not_built(document: CommentedMap, lines: Mapping[str, int], name: str) -> None:
    for key in NOT_BUILT:
        section, _, inner = key.partition(".")
        holder = document.get(section)
        value = holder.get(inner) if inner and isinstance(holder, CommentedMap) else None if inner else holder
        if value is not None and value is not False:
            raise PolicyError(
                f"{name}:{lines[key]}: {key} is not built yet", hint="remove the key; nothing would check it"
            )
    for (key, unbuilt), instead in NOT_BUILT_VALUES.items():
        section, _, inner = key.partition(".")
        holder = document.get(section)
        if isinstance(holder, CommentedMap) and holder.get(inner) == unbuilt:
            raise PolicyError(f"{name}:{lines[key]}: {key}: {unbuilt} is not built yet", hint=f"{inner}: {instead}")
    evidence = document.get("evidence")
    if isinstance(evidence, CommentedMap) and evidence.get("signers"):
        # Evidence is not signed yet: a list of signers that nobody checks would be worse than none.
        line = lines["evidence.signers"]
        raise PolicyError(f"{name}:{line}: evidence.signers is not built yet", hint="leave it empty: unsigned admits")


def _teach(error: ValidationError, lines: Mapping[str, int], name: str) -> PolicyError:
    """Turn the first of pydantic's errors into one line with file, line, key, what is wrong and what would be right."""
    first = error.errors()[0]
    loc = [str(part) for part in first["loc"]]
    key = ".".join(loc)
    line = next((lines[".".join(loc[:end])] for end in range(len(loc), 0, -1) if ".".join(loc[:end]) in lines), 1)
    where = f"{name}:{line}"
    match first["type"]:
        case "extra_forbidden":
            known = _known_keys(loc[:-1])
            close = difflib.get_close_matches(loc[-1], known, n=1, cutoff=0.4)
            hint = f"did you mean {close[0]}? " if close else ""
            return PolicyError(f"{where}: {key} is not a key", hint=f"{hint}keys: {', '.join(known)}")
        case "too_short" if key == "requires":
            return PolicyError(f"{where}: requires is empty: nothing would be checked", hint="list at least one suite")
        case "value_error":
            message = str(first["ctx"]["error"])
            return PolicyError(f"{where}: {key}: {message}" if key else f"{where}: {message}")
        case _:
            given = json.dumps(first["input"], default=str, ensure_ascii=False)
            return PolicyError(f"{where}: {key}: {first['msg']}, got {given[:80]}")


def _known_keys(loc: list[str]) -> list[str]:
    model: Any = PolicyValues
    for part in loc:
        if isinstance(model, type) and issubclass(model, BaseModel):
            by_alias = {info.alias or key: info.annotation for key, info in model.model_fields.items()}
            model = by_alias.get(part)
        else:  # a mapping of names to sections: properties.inputs, accuracy.metrics
            model = get_args(model)[-1]
    return [info.alias or key for key, info in model.model_fields.items()]
