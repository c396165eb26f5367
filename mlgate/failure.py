"""A saved failure: `failures/<check>-<n>.json`, the rows that broke a check, and what came of them. Pure."""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlgate.check_id import format_check_id, mlflow_name, parse_check_id
from mlgate.errors import ConfigError
from mlgate.scoring.answers import Answer
from mlgate.scoring.payloads import Batch

FORMAT = "mlgate-failure/1"
# A file is read by people and kept in repositories; a row of an image model has some megabytes.
MAX_FILE_BYTES = 16 * 2**20
MAX_BODY = 2**20
MAX_ANSWER = 2**14
MAX_EXCHANGES = 16

Label = str | int


class FailureFileError(ConfigError):
    """A file that holds no saved failure; names what is wrong with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataRow:
    """A row of the evaluation data with some columns changed: what may be stored where the data may not.

    Attributes:
        key: Of the row, in the evaluation data.
        changed: Label and value of each column that differs from it.
    """

    key: str | int
    changed: tuple[tuple[Label, Any], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Rows to try again.

    Attributes:
        columns: Labels, those of further columns (the partner of a pair) included; `None` for tensors.
        rows: As in `Batch`, or `DataRow`.
    """

    columns: tuple[Label, ...] | None
    rows: tuple[Any, ...]

    @classmethod
    def of(cls, batch: Batch) -> "Case":
        """Return all rows with all values."""
        return cls(columns=batch.columns, rows=batch.rows)

    @property
    def keys(self) -> tuple[str | int, ...]:
        """Keys of the evaluation data that it needs."""
        return tuple(row.key for row in self.rows if isinstance(row, DataRow))

    def batch(self, data: Mapping[str | int, Sequence[Any]] | None = None) -> Batch:
        """Return the rows with all values.

        Args:
            data: Key to the values of that row of the evaluation data, one for each of *columns*.

        Raises:
            KeyError: A key that *data* lacks.
        """
        return Batch(columns=self.columns, rows=tuple(self._values(row, data or {}) for row in self.rows))

    def _values(self, row: Any, data: Mapping[str | int, Sequence[Any]]) -> Any:
        if not isinstance(row, DataRow):
            return row
        changed = dict(row.changed)
        return [changed.get(label, value) for label, value in zip(self.columns or (), data[row.key], strict=True)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """A request and its answer, both cut to what a reader can take.

    Attributes:
        body: What was sent, or why it does not stand here.
        curl: The command that sends it; empty where the body is cut or holds evaluation data.
        answer: Status, type, body and seconds.
    """

    content_type: str | None
    body: str
    curl: str
    answer: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What was tested, by name and by bytes.

    Attributes:
        uri: Of the model version.
        artifact_digest: Of its files.
        policy_digest: Of the policy that it was judged by.
        data_digest: Of the evaluation data; empty where there were none.
        mlgate: Version of mlgate.
    """

    uri: str
    artifact_digest: str
    policy_digest: str
    data_digest: str = ""
    mlgate: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """The rows that broke a check, and what came of them.

    Attributes:
        check: Text form of the check's id.
        suite: The suite that it belongs to.
        problem: What was wrong, in words.
        changed: Columns whose value is not the default.
        case: The rows.
        exchanges: Requests and answers, in order.
        seed: Of the run that found it.
        origin: What was tested.
    """

    check: str
    suite: str
    problem: str
    changed: tuple[Label, ...]
    case: Case
    exchanges: tuple[Exchange, ...]
    seed: int
    origin: Origin

    def to_bytes(self) -> bytes:
        """Return the file's bytes; a lone surrogate is written as JSON's escape for it.

        Raises:
            ValueError: More than `MAX_FILE_BYTES`.
        """
        check, params = parse_check_id(self.check)
        document = {
            "format": FORMAT,
            "check": check,
            "params": params,
            "suite": self.suite,
            "problem": self.problem,
            "changed": list(self.changed),
            "case": {
                "columns": None if self.case.columns is None else list(self.case.columns),
                "rows": [_row_json(row) for row in self.case.rows],
            },
            "exchanges": [
                {"content_type": part.content_type, "body": part.body, "curl": part.curl, "answer": dict(part.answer)}
                for part in self.exchanges
            ],
            "seed": self.seed,
            "origin": {name: getattr(self.origin, name) for name in Origin.__slots__},
        }
        text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)
        raw = f"{text}\n".encode("utf-8", "backslashreplace")
        if len(raw) > MAX_FILE_BYTES:
            raise ValueError(f"{len(raw)} bytes, more than {MAX_FILE_BYTES}")
        return raw


def read_failure(raw: bytes, *, name: str) -> Failure:
    """Read a saved failure.

    Args:
        raw: The file's bytes.
        name: The file's, for the message.

    Raises:
        FailureFileError: Not JSON, another format, or a field that is missing or of the wrong type.
    """
    if len(raw) > MAX_FILE_BYTES:
        raise FailureFileError(f"{name}: larger than {MAX_FILE_BYTES} bytes")
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise FailureFileError(f"{name}: not JSON ({str(error)[:80]})") from error
    found = document.get("format") if isinstance(document, dict) else None
    if found != FORMAT:
        said = f"format {json.dumps(found)[:40]}" if found is not None else "no format"
        hint = "only what a generated check saved can be tried again"
        raise FailureFileError(f"{name}: no saved failure ({said}, not {FORMAT})", hint=hint)
    try:
        return _failure(document)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        what = f"{error.args[0]} is missing" if isinstance(error, KeyError) else str(error)
        raise FailureFileError(f"{name}: no saved failure ({what[:120]})") from error


def _failure(document: Mapping[str, Any]) -> Failure:
    check = format_check_id(_text(document, "check"), {key: str(value) for key, value in document["params"].items()})
    parse_check_id(check)
    return Failure(
        check=check,
        suite=_text(document, "suite"),
        problem=_text(document, "problem"),
        changed=_labels(document["changed"], "changed"),
        case=_case(document["case"]),
        exchanges=tuple(
            Exchange(
                content_type=part["content_type"],
                body=_text(part, "body"),
                curl=_text(part, "curl"),
                answer=dict(part["answer"]),
            )
            for part in document["exchanges"]
        ),
        seed=int(document["seed"]),
        origin=Origin(**{name: _text(document["origin"], name) for name in Origin.__slots__}),
    )


def _case(document: Mapping[str, Any]) -> Case:
    columns = None if document["columns"] is None else _labels(document["columns"], "case.columns")
    rows = tuple(_read_row(row) for row in document["rows"])
    if not rows:
        raise ValueError("case.rows is empty")
    for row in rows:
        if isinstance(row, DataRow):
            known = columns or ()
            if any(label not in known for label, _ in row.changed):
                raise ValueError("case.rows changes a column that case.columns lacks")
        elif columns is not None and (not isinstance(row, list) or len(row) != len(columns)):
            raise ValueError("case.rows holds a row that is not one value a column")
    return Case(columns=columns, rows=rows)


def _row_json(row: Any) -> dict[str, Any]:
    if isinstance(row, DataRow):
        return {"key": row.key, "changed": [list(pair) for pair in row.changed]}
    return {"values": row}


def _read_row(row: Mapping[str, Any]) -> Any:
    if "values" in row:
        return row["values"]
    key = row["key"]
    if not isinstance(key, (str, int)):
        raise ValueError("case.rows has a key that is neither text nor a whole number")  # noqa: TRY004  (one error type)
    pairs = tuple((label, value) for label, value in row["changed"])
    _labels([label for label, _ in pairs], "case.rows.changed")
    return DataRow(key=key, changed=pairs)


def _labels(value: Any, place: str) -> tuple[Label, ...]:
    if not isinstance(value, list) or not all(isinstance(label, (str, int)) for label in value):
        raise ValueError(f"{place} is no list of column labels")
    return tuple(value)


def _text(document: Mapping[str, Any], key: str) -> str:
    value = document[key]
    if not isinstance(value, str):
        raise ValueError(f"{key} is no text")  # noqa: TRY004  (one error type for whoever reads a file)
    return value


def file_name(check: str, n: int) -> str:
    """Return the name of the *n*-th failure of a check, from the text form of its id."""
    return f"{mlflow_name(check).replace('/', '.').replace(':', '-')}-{n}.json"


def exchange(
    path: str, body: bytes, content_type: str | None, answer: Answer | None, *, shown: bool = True
) -> Exchange:
    """Return a request and its answer for a file.

    Args:
        path: Where the request went, with its leading slash.
        body: As sent.
        content_type: As sent.
        answer: What came of it; `None` where it was not kept.
        shown: Whether the body may be stored: it may hold evaluation data.
    """
    fits = len(body) <= MAX_BODY
    if not shown:
        text = f"not stored: {len(body)} bytes that hold evaluation data (evidence.rows: synthetic)"
    else:
        text = _decoded(body) if fits else f"{_decoded(body[:MAX_ANSWER])}… ({len(body)} bytes)"
    return Exchange(
        content_type=content_type,
        body=text,
        curl=curl_line(path, body, content_type) if shown and fits else "",
        answer={} if answer is None else answer_json(answer),
    )


def answer_json(answer: Answer) -> dict[str, Any]:
    """Return an answer for a file, its body cut."""
    cut = "…" if len(answer.body) > MAX_ANSWER else ""
    return {
        "status": answer.status,
        "content_type": answer.content_type,
        "body": answer.body[:MAX_ANSWER].decode("utf-8", "replace") + cut,
        "elapsed_s": round(answer.elapsed_s, 4),
        "problem": answer.problem,
    }


def curl_line(path: str, body: bytes, content_type: str | None) -> str:
    """Return the shell command that sends a request; `$SERVER` stands for the server's address."""
    header = "" if content_type is None else f" -H {shlex.quote(f'Content-Type: {content_type}')}"
    return f"curl -s $SERVER{path}{header} --data-binary {_quoted(body)}"


def _quoted(body: bytes) -> str:
    try:
        text = body.decode()
    except UnicodeDecodeError:
        # A lone surrogate is no UTF-8; bash and zsh take bytes this way.
        return "$'" + "".join(_ascii(byte) for byte in body) + "'"
    return shlex.quote(text)


def _ascii(byte: int) -> str:
    char = chr(byte)
    if char in "\\'":
        return f"\\{char}"
    return char if 32 <= byte < 127 else f"\\x{byte:02x}"


def _decoded(body: bytes) -> str:
    try:
        return body.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return body.decode("utf-8", "replace")
