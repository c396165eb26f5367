"""The champion's answers, kept from run to run: the second challenger of a day does not ask it again.

Kept below `<cache>/scores/`, one Parquet file a question, by everything that an answer depends on. The cache is this
user's own, as the one of model directories is: a file that is damaged, or of another question, is ignored and written
anew; one that its owner forges is believed. When a file is added, the ones used longest ago go until 2 GiB are kept.
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from mlgate.artifacts.cache import default_cache
from mlgate.evaluation.sample import Sample
from mlgate.evaluation.scored import Question, ScoredModel
from mlgate.evidence import canonical_digest

FORMAT = "mlgate-champion-scores/1"
KEPT_BYTES = 2 * 2**30
_ANSWERS = ("labels", "score", "scores", "numbers")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoresKey:
    """What the champion's answers depend on; none of it may be empty.

    Attributes:
        champion: Artifact digest.
        data: Digest of the evaluation data.
        recipe: Recipe digest of what it is served with.
        question: Digest of how the data are read, what of the answers is kept, and of the server's environment.
    """

    champion: str
    data: str
    recipe: str
    question: str

    @classmethod
    def of(
        cls, question: Question, *, champion: str, recipe: str, label: str, environment: Mapping[str, str]
    ) -> "ScoresKey | None":
        """Return the key; `None` where the champion's bytes or its environment have no digest.

        Args:
            question: What is asked.
            champion: Its artifact digest.
            recipe: Recipe digest of its image.
            label: Column that holds the truth: by it the rows' classes are known.
            environment: Variables that its server gets.
        """
        if not champion or not recipe:
            return None
        asked = {
            "mapping": asdict(question.mapping),
            "classes": question.classes.names,
            "positive": question.classes.positive,
            "needs": sorted(question.needs),
            "key": question.key,
            "features": question.data.features.columns,
            "label": label,
            "environment": dict(environment),
        }
        return cls(champion=champion, data=question.data.digest, recipe=recipe, question=canonical_digest(asked))

    @property
    def file_name(self) -> str:
        """Name of the file that holds them."""
        return f"{canonical_digest(asdict(self)).removeprefix('sha256:')}.parquet"


class ChampionScores:
    """The kept answers.

    Args:
        folder: Default: `scores` in `default_cache()`.
        kept_bytes: Bytes that stay when one is added; the one added stays whatever its size.
    """

    def __init__(self, folder: Path | None = None, *, kept_bytes: int = KEPT_BYTES) -> None:
        self.folder = default_cache() / "scores" if folder is None else folder
        self._kept_bytes = kept_bytes

    def get(self, key: ScoresKey, question: Question) -> ScoredModel | None:
        """Return the answers under *key*, checked; `None` where there are none that can be used."""
        path = self.folder / key.file_name
        try:
            found = _read(path, key, question)
        except Exception:  # noqa: BLE001 - whatever is wrong with the file, the champion can be asked again
            return None
        with suppress(OSError):
            os.utime(path)  # used now
        return found

    def put(self, key: ScoresKey, scored: ScoredModel) -> bool:
        """Keep answers; return whether that was possible. A cache that can not be written costs time and nothing else."""
        from mlgate.evaluation import score_columns as columns  # noqa: PLC0415 - pyarrow takes 0.2 s

        sample = scored.sample
        if scored.problems:
            return False  # of no use to a policy that asks the same
        arrays = {name: getattr(sample, name) for name in _ANSWERS}
        facts = {
            "format": FORMAT,
            "key": asdict(key),
            "rows": len(sample),
            "scored_at": scored.scored_at,
            "unknown": dict(scored.unknown),
            "unknown_rows": scored.unknown_rows,
            "content": columns.content_digest(arrays),
        }

        def batches() -> Iterator[dict[str, Any]]:
            for rows in columns.chunks(len(sample)):
                yield columns.answers(sample, rows, "champion")

        try:
            columns.write(self.folder / key.file_name, batches(), json.dumps(facts).encode())
            self._tidy(key.file_name)
        except OSError:
            return False
        return True

    def _tidy(self, newest: str) -> None:
        """Remove what was used longest ago, beyond the size that stays."""
        found = [(path.stat().st_mtime, path) for path in self.folder.glob("*.parquet") if path.name != newest]
        size = (self.folder / newest).stat().st_size
        for _, path in sorted(found, reverse=True):
            size += path.stat().st_size
            if size > self._kept_bytes:
                path.unlink(missing_ok=True)


def _read(path: Path, key: ScoresKey, question: Question) -> ScoredModel | None:
    from mlgate.evaluation import score_columns as columns  # noqa: PLC0415 - as above

    reader = columns.Reader(path)
    try:
        facts = json.loads(reader.facts)
        if facts["format"] != FORMAT or facts["key"] != asdict(key) or reader.rows != len(question.data):
            return None
        arrays = reader.answers("champion", question.classes.names)
    finally:
        reader.close()
    if columns.content_digest(arrays) != facts["content"]:
        return None
    sample = Sample(
        truth=question.truth,
        classes=question.classes.names,
        positive=question.classes.positive,
        group=question.data.group,
        **arrays,
    )
    scored = ScoredModel(sample=sample, unknown=facts["unknown"], unknown_rows=facts["unknown_rows"])
    return replace(scored, scored_at=str(facts["scored_at"]), cached=True)
