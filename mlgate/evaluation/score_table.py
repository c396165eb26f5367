"""`scores.parquet`: both models' answers on every row, from which the verdict can be computed again. `mlgate-scores/1`.

Columns: `key`; `label` (the truth: a class or a number); `group` (a number a group) where there are groups;
`slice.<name>`, which value of each slice the row belongs to (null: to none); `challenger.…` and `champion.…`: `label`
(null: an answer that is no class), `score` of the positive class, `score.<class>` of each, `number`. What metrics do not
need is not there, and features never are. The rest (classes, mapping, policy, digests, seed, versions) is JSON in the
file's metadata, under `mlgate`.
"""

import json
import platform
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlgate.errors import EvidenceError
from mlgate.evaluation.judgement.sides import Absence, NoChampion
from mlgate.evaluation.metric_names import Need
from mlgate.evaluation.outputs import OutputMapping
from mlgate.evaluation.paired_scores import PairedScores, Slices
from mlgate.evaluation.rows import EvaluationData
from mlgate.evaluation.sample import Sample
from mlgate.evaluation.scored import ScoredModel
from mlgate.evaluation.slices import Partition, SliceValue
from mlgate.policy_accuracy import Accuracy
from mlgate.statistics.interval import Undefined

if TYPE_CHECKING:
    from mlgate.evaluation.score_columns import Reader

FORMAT = "mlgate-scores/1"
FILE = "accuracy/scores.parquet"  # in the files of a run


@dataclass(frozen=True, slots=True, kw_only=True)
class TableFacts:
    """What the file says of the run that wrote it, beside the scores.

    Attributes:
        data: Digest of the evaluation data.
        challenger: Artifact digest.
        champion: Artifact digest; empty where there is none, or it is not known.
        checks: Ids of the checks that the run's policy expects, in order.
    """

    data: str
    challenger: str
    champion: str
    checks: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class StoredScores:
    """What a file holds. The metrics are to be added: some are the user's own code, which no file holds.

    Attributes:
        scores: Without metrics.
        facts: Of the run.
        versions: Of what wrote it.
        digest: Of the file's bytes.
    """

    scores: PairedScores
    facts: TableFacts
    versions: Mapping[str, str]
    digest: str


def write_scores(path: Path, scores: PairedScores, data: EvaluationData, facts: TableFacts) -> str:
    """Write the file.

    Returns:
        `sha256:` over its bytes.

    Raises:
        OSError: It can not be written.
    """
    from mlgate.evaluation import score_columns as columns  # noqa: PLC0415 - pyarrow takes 0.2 s

    def batches() -> Iterator[dict[str, Any]]:
        for rows in columns.chunks(len(data)):
            yield _columns(scores, data, rows)

    document = json.dumps(_document(scores, facts), allow_nan=False)
    columns.write(path, batches(), document.encode())
    return columns.file_digest(path)


def _columns(scores: PairedScores, data: EvaluationData, rows: slice) -> dict[str, Any]:
    import pyarrow as pa  # noqa: PLC0415 - as above

    from mlgate.evaluation.score_columns import answers, coded  # noqa: PLC0415 - as above

    ours = scores.challenger.sample
    keys = data.keys[rows]
    found: dict[str, Any] = {"key": keys.array.combine_chunks() if hasattr(keys, "array") else pa.array(list(keys))}
    found["label"] = coded(ours.truth[rows], ours.classes) if ours.classes else pa.array(ours.truth[rows])
    if ours.group is not None:
        found["group"] = pa.array(ours.group[rows])
    for name, slices in scores.slices.items():
        if isinstance(slices, Partition):
            found[f"slice.{name}"] = coded(slices.codes[rows], [value.name for value in slices.values])
    found |= answers(ours, rows, "challenger")
    if isinstance(scores.champion, ScoredModel):
        found |= answers(scores.champion.sample, rows, "champion")
    return found


def _document(scores: PairedScores, facts: TableFacts) -> dict[str, Any]:
    ours = scores.challenger.sample
    document: dict[str, Any] = {
        "format": FORMAT,
        "facts": asdict(facts),
        "rows": len(ours),
        "classes": ours.classes,
        "positive": ours.positive,
        "mapping": asdict(OutputMapping.of(scores.accuracy)),
        "accuracy": scores.accuracy.model_dump(mode="json"),
        "confidence": scores.accuracy.confidence,
        "seed": scores.seed,
        "challenger": _side(scores.challenger),
        "slices": {name: _slice(found) for name, found in scores.slices.items()},
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("mlgate", "numpy", "scipy")},
        },
    }
    if isinstance(scores.champion, NoChampion):
        document["no_champion"] = {"absence": str(scores.champion.absence), "reason": scores.champion.reason}
    else:
        document["champion"] = _side(scores.champion)
    return document


def _side(scored: ScoredModel) -> dict[str, Any]:
    return {
        "problems": {str(need): text for need, text in scored.problems.items()},
        "unknown": dict(scored.unknown),
        "unknown_rows": scored.unknown_rows,
        "scored_at": scored.scored_at,
        "cached": scored.cached,
    }


def _slice(found: Partition | Undefined) -> dict[str, Any]:
    if isinstance(found, Undefined):
        return {"undefined": found.reason, "n": found.n}
    return {"values": [{"params": dict(value.params), "name": value.name} for value in found.values]}


def read_scores(path: Path) -> StoredScores:
    """Read the file.

    Raises:
        EvidenceError: Not there, damaged, no such file, or of another version of the format.
    """
    from mlgate.evaluation import score_columns as columns  # noqa: PLC0415 - as above

    try:
        digest = columns.file_digest(path)
        reader = columns.Reader(path)
    except (OSError, ValueError) as error:
        missing = isinstance(error, FileNotFoundError)
        what = "there is no such file" if missing else f"no scores of mlgate, or damaged ({_first_line(error)})"
        raise EvidenceError(f"{path}: {what}", hint="a gate run leaves accuracy/scores.parquet") from error
    try:
        return _read(path, reader, digest)
    except EvidenceError:
        raise
    except Exception as error:  # a damaged file may raise anything
        raise EvidenceError(f"{path}: damaged ({_first_line(error)})") from error
    finally:
        reader.close()


def _read(path: Path, reader: "Reader", digest: str) -> StoredScores:
    try:
        document = json.loads(reader.facts)
    except ValueError:
        document = None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        found = document.get("format") if isinstance(document, dict) else "none of mlgate's"
        raise EvidenceError(f"{path}: its format is {found}; this mlgate reads {FORMAT}")
    if document["rows"] != reader.rows:
        raise ValueError(f"{reader.rows} rows, and {document['rows']} were written")
    classes = tuple(document["classes"])
    base = Sample(
        truth=reader.codes("label", classes) if classes else reader.numbers("label"),
        classes=classes,
        positive=document["positive"],
        group=reader.numbers("group") if "group" in reader.names else None,
    )
    if classes and base.truth.min(initial=0) < 0:
        raise ValueError("column 'label' lacks a value")
    champion: ScoredModel | NoChampion
    if "no_champion" in document:
        none = document["no_champion"]
        champion = NoChampion(absence=Absence(none["absence"]), reason=none["reason"])
    else:
        champion = _scored(document["champion"], replace(base, **reader.answers("champion", classes)))
    scores = PairedScores(
        accuracy=_accuracy(document),
        metrics={},
        challenger=_scored(document["challenger"], replace(base, **reader.answers("challenger", classes))),
        champion=champion,
        slices=_slices(document["slices"], reader),
        seed=document["seed"],
    )
    facts = TableFacts(**{**document["facts"], "checks": tuple(document["facts"]["checks"])})
    return StoredScores(scores=scores, facts=facts, versions=document["versions"], digest=digest)


def _accuracy(document: Mapping[str, Any]) -> Accuracy:
    # The file has a fraction where the policy has a text with its unit.
    section = Accuracy.model_validate({**document["accuracy"], "confidence": "95%"})
    return section.model_copy(update={"confidence": float(document["confidence"])})


def _scored(document: Mapping[str, Any], sample: Sample) -> ScoredModel:
    return ScoredModel(
        sample=sample,
        problems={Need(need): text for need, text in document["problems"].items()},
        unknown=document["unknown"],
        unknown_rows=document["unknown_rows"],
        scored_at=document["scored_at"],
        cached=document["cached"],
    )


def _slices(document: Mapping[str, Any], reader: "Reader") -> Slices:
    found: dict[str, Partition | Undefined] = {}
    for name, part in document.items():
        if "undefined" in part:
            found[name] = Undefined(reason=part["undefined"], n=part["n"])
            continue
        values = tuple(SliceValue(params=value["params"], name=value["name"]) for value in part["values"])
        codes = reader.codes(f"slice.{name}", [value.name for value in values])
        found[name] = Partition(spec=name, codes=codes.astype("int16"), values=values)
    return found


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
