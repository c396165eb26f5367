"""Read `mlgate.yaml`: line numbers, suggestions, and where each value came from."""

import difflib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import YAMLError

from mlgate.errors import PolicyError
from mlgate.policy import Policy, PolicyValues

FILE_NAME = "mlgate.yaml"
MAX_POLICY_BYTES = 1_000_000
# Without a cap, a policy of a few hundred bytes of YAML aliases would eat the memory of the host.
MAX_VALUES = 50_000
# Keys of the design whose check is not built yet. Accepting one silently would look like a check that passed.
NOT_BUILT = ("rollout",)

_SCHEMA_HINT = "mlgate policy schema describes every key"
# Where pydantic speaks of Python, in the words of YAML.
_WANTED = {
    "model_type": "should be a section of keys",
    "dict_type": "should be a section of keys",
    "tuple_type": "should be a list",
    "string_type": "should be text",
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
        why = error.strerror if isinstance(error, OSError) else error
        raise PolicyError(f"{found}: can not be read ({why})", hint="mlgate init writes one") from error
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
    except RecursionError as error:
        raise PolicyError(f"{name}: nests too deep") from error
    if document is None:
        document = CommentedMap()
    if not isinstance(document, CommentedMap):
        kind = "list" if isinstance(document, CommentedSeq) else "single value"
        raise PolicyError(f"{name}:1: a policy is a mapping of keys, this is a {kind}", hint="mlgate init writes one")
    _refuse_too_many(document, name)
    lines = dict(_lines(document))
    _refuse_not_built(lines, name)
    plain = _plain(document)
    try:
        values = PolicyValues.model_validate(plain)
    except ValidationError as error:
        raise _teach(error, plain, lines, name) from error
    policy = Policy(values=values, text=text, path=path, origins=lines)
    if path is not None:
        _refuse_load_files(policy, name)
    return policy


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
        # A key that comes out of a merge (`<<: *anchor`) has no place of its own: it stands where the merge stands.
        place = (node.lc.data or {}).get(key, (node.lc.line,))
        yield path, place[0] + 1
        if isinstance(value, CommentedMap):
            yield from _lines(value, f"{path}.")
        elif isinstance(value, CommentedSeq):
            yield from _item_lines(value, f"{path}.")


def _item_lines(node: CommentedSeq, prefix: str) -> Iterator[tuple[str, int]]:
    """Yield the line of each item of a list, and of the keys in those that are sections."""
    for index, item in enumerate(node):
        place = (node.lc.data or {}).get(index, (node.lc.line,))
        yield f"{prefix}{index}", place[0] + 1
        if isinstance(item, CommentedMap):
            yield from _lines(item, f"{prefix}{index}.")


def _refuse_too_many(document: CommentedMap, name: str) -> None:
    """Count every value as often as aliases repeat it, before anything walks through them all."""
    waiting: list[object] = [document]
    count = 0
    while waiting:
        node = waiting.pop()
        inner = (
            list(node.values()) if isinstance(node, CommentedMap) else node if isinstance(node, CommentedSeq) else []
        )
        count += len(inner)
        if count > MAX_VALUES:
            raise PolicyError(f"{name}: more than {MAX_VALUES} values", hint="write out what YAML aliases repeat")
        waiting.extend(inner)


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


def _refuse_not_built(lines: Mapping[str, int], name: str) -> None:
    for key in NOT_BUILT:
        if key in lines:
            raise PolicyError(
                f"{name}:{lines[key]}: {key} is not built yet", hint="remove the key; nothing would check it"
            )


def _refuse_load_files(policy: Policy, name: str) -> None:
    """Read what the section `load` names, so that a run does not begin and end with a file that is not there."""
    load = policy.values.load
    own = load.locustfile
    if own is not None and not (policy.folder / own.file).is_file():
        where = f"{name}:{policy.origins.get('load.locustfile.file', 1)}"
        message = f"{where}: load.locustfile.file: {own.file} is no file"
        raise PolicyError(message, hint="paths are relative to the policy file")
    if load.trace is not None:
        from mlgate.load.schedule import schedule_of  # noqa: PLC0415 - numpy, which no other policy needs

        try:
            schedule_of(load, 0, policy.folder)
        except PolicyError as error:
            where = f"{name}:{policy.origins.get('load.profile.trace', 1)}"
            raise PolicyError(f"{where}: {error.message}", hint=error.hint) from error


def _teach(error: ValidationError, document: Any, lines: Mapping[str, int], name: str) -> PolicyError:
    """Turn the first of pydantic's errors into one line with file, line, key, what is wrong and what would be right."""
    errors = error.errors()
    # A key that is misspelt is also missing under its own name; what stands there is the news.
    beside = (one for one in errors if one["loc"][:-1] == errors[0]["loc"][:-1] and one["type"] == "extra_forbidden")
    first = next(beside, errors[0])
    loc = _place(first, document)
    key = ".".join(loc)
    # A rule over several keys begins its message with the one that it blames.
    message = str(first["ctx"]["error"]) if first["type"] == "value_error" else ""
    blamed = [*loc, *message.partition(" ")[0].rstrip(":,").split(".")]
    known = next((end for end in range(len(blamed), 0, -1) if ".".join(blamed[:end]) in lines), 0)
    where = f"{name}:{lines['.'.join(blamed[:known])] if known else 1}"
    match first["type"]:
        case "extra_forbidden":
            keys = _known_keys(loc[:-1])
            close = difflib.get_close_matches(loc[-1], keys, n=1, cutoff=0.4)
            hint = f"did you mean {close[0]}? " if close else ""
            return PolicyError(f"{where}: {key} is not a key", hint=f"{hint}keys: {', '.join(keys)}")
        case "too_short" if key == "requires":
            return PolicyError(f"{where}: requires is empty: nothing would be checked", hint="list at least one suite")
        case "value_error":
            joint = "." if known > len(loc) else ": "
            return PolicyError(f"{where}: {key}{joint if key else ''}{message}", hint=_SCHEMA_HINT)
        case _:
            given = json.dumps(first["input"], default=str, ensure_ascii=False)
            wanted = _WANTED.get(first["type"], first["msg"])
            return PolicyError(f"{where}: {key}: {wanted}, got {given[:80]}", hint=_SCHEMA_HINT)


def _place(error: Any, document: Any) -> list[str]:
    """Return where an error is in the file; pydantic adds which branch of a union it tried."""
    loc: list[str] = []
    last = len(error["loc"]) - 1
    for index, part in enumerate(error["loc"]):
        if isinstance(document, list) and isinstance(part, int) and part < len(document):
            document = document[part]
        elif isinstance(document, dict) and (part in document or (error["type"] == "missing" and index == last)):
            document = document.get(part)
        else:
            continue
        loc.append(str(part))
    return loc


def _known_keys(loc: list[str]) -> list[str]:
    model: Any = PolicyValues
    for part in loc:
        if isinstance(model, type) and issubclass(model, BaseModel):
            by_alias = {info.alias or key: info.annotation for key, info in model.model_fields.items()}
            model = _section_of(by_alias.get(part))
        else:  # names to sections (properties.inputs, accuracy.metrics), or a list of sections (accuracy.gaps)
            model = _section_of(next(inner for inner in reversed(get_args(model)) if inner is not ...))
    return [info.alias or key for key, info in model.model_fields.items()]


def _section_of(annotation: Any) -> Any:
    """Return the section among the branches of a union; anything else as it is."""
    if get_origin(annotation) not in {Union, UnionType, Annotated}:
        return annotation
    branches = [_section_of(inner) for inner in get_args(annotation)]
    sections = [branch for branch in branches if isinstance(branch, type) and issubclass(branch, BaseModel)]
    return next(iter(sections), branches[0])
