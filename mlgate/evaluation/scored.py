"""One model's answers on all evaluation rows, with what is to be said of them. Pure but for the client."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from mlgate.artifacts.signature import Schema
from mlgate.errors import EngineError
from mlgate.evaluation.answer_columns import AnswerColumns, Classes
from mlgate.evaluation.engines.interface import Replica, ScoringEngine
from mlgate.evaluation.engines.local import LOCAL
from mlgate.evaluation.metric_names import Need
from mlgate.evaluation.outputs import OutputMapping
from mlgate.evaluation.rows import EvaluationData
from mlgate.evaluation.sample import Codes, Numbers, Sample
from mlgate.evaluation.scoring import Progress, ScoringFacts, ScoringLost, Tell
from mlgate.scoring.client import ScoringClient
from mlgate.scoring.payloads import Batch
from mlgate.verdict import format_time


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScoredModel:
    """One model's answers.

    Attributes:
        sample: Truth and answers.
        problems: What the answers do not hold, and why: it spoils the metrics that need it.
        unknown: Labels that are no class, to how often each was answered; the first ten.
        unknown_rows: How many answers are none.
        facts: What scoring took; `None` where it was not done in this run.
        engine: What scored, as `accuracy.engine` calls it; empty where it was not done in this run.
        scored_at: When, RFC 3339.
        cached: The answers were kept from an earlier run.
    """

    sample: Sample
    problems: Mapping[Need, str] = field(default_factory=dict)
    unknown: Mapping[str, int] = field(default_factory=dict)
    unknown_rows: int = 0
    facts: ScoringFacts | None = None
    engine: str = ""
    scored_at: str = ""
    cached: bool = False

    def problem_of(self, needs: Iterable[Need]) -> str | None:
        """Return why one of *needs* can not be met, or `None`."""
        wanted = set(needs)
        if Need.SCORES in wanted and len(self.sample.classes) <= 2:
            wanted |= {Need.SCORE}  # of two classes, the positive one's score says both
        return next((self.problems[need] for need in sorted(wanted) if need in self.problems), None)

    def to_json(self) -> dict[str, Any]:
        """Return what the evidence says of the scoring."""
        found: dict[str, Any] = {"scored_at": self.scored_at, "cached": self.cached}
        if self.facts is not None:
            found["engine"] = self.engine
            found["seconds"] = round(self.facts.seconds, 3)
            found["rows_per_s"] = round(self.facts.rows / self.facts.seconds) if self.facts.seconds > 0 else None
            found["requests"], found["failed_requests"] = self.facts.requests, self.facts.failed
        return found


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Question:
    """What both models are asked, and how their answers are read.

    Attributes:
        data: Rows and truth.
        mapping: Which part of an answer is what.
        classes: By code; without names where the truth is numbers.
        needs: What the metrics need of the answers.
        key: Name of the key column; empty where rows are numbered.
    """

    data: EvaluationData
    mapping: OutputMapping
    classes: Classes
    needs: frozenset[Need]
    key: str = ""

    @property
    def truth(self) -> Codes | Numbers:
        """The truth as the metrics take it.

        Raises:
            ValueError: The labels are no numbers, and the metrics are of numbers.
        """
        if self.classes.names:
            return self.data.truth.codes_in(self.classes.names)
        if self.data.truth.numbers is None:
            raise ValueError("the labels are classes and no numbers")
        return self.data.truth.numbers

    def name_row(self, row: int) -> str:
        """Name a row, by its key where there is one."""
        return f"row {row} ({self.key} {str(self.data.keys[row])[:80]})" if self.key else f"row {row}"


def score_model(
    client: ScoringClient,
    question: Question,
    outputs: Schema | None,
    *,
    batches: Iterable[Batch] | None = None,
    engine: ScoringEngine = LOCAL,
    replica: Replica | None = None,
    who: str,
    tell: Tell,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> ScoredModel:
    """Have one model answer every row.

    Args:
        client: Of its server.
        question: What is asked.
        outputs: Its output signature.
        batches: Its features; default: the question's.
        engine: Decides where they are scored.
        replica: Serves the model on other machines; `None` keeps to this one.
        who: Which one, for the progress: `challenger`.
        tell: Takes a line of progress now and then.
        now: For tests.

    Raises:
        NotScored: Some row got no valid answer; names it.
        ScoringLost: An engine, of containers or of scoring, is at fault.
    """
    data = question.data
    columns = AnswerColumns(question.mapping, question.needs, question.classes, len(data))
    try:
        facts = engine.score_data(
            client,
            data.batches() if batches is None else batches,
            outputs,
            columns.take,
            name_row=question.name_row,
            progress=Progress(what=f"scoring the {who}", total=len(data), tell=tell),
            replica=replica,
        )
    except EngineError as error:
        raise ScoringLost(f"the {who} could not be scored: {error}") from error
    return ScoredModel(
        sample=columns.sample(question.truth, data.group),
        problems={need: f"{question.name_row(error.row or 0)}: {error}" for need, error in columns.problems.items()},
        unknown=dict(columns.unknown),
        unknown_rows=columns.unknown_rows,
        facts=facts,
        engine=engine.name,
        scored_at=format_time(now()),
    )
