"""The accuracy suite's work: both models asked once, their scores kept, and each check judged by them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from mlgate.artifacts.signature import Schema
from mlgate.errors import DataError, MlgateError, OutputError, PolicyError
from mlgate.evaluation.answer_columns import Classes
from mlgate.evaluation.champion_scores import ChampionScores, ScoresKey
from mlgate.evaluation.engines.interface import Replica, ScoringEngine
from mlgate.evaluation.engines.local import LOCAL
from mlgate.evaluation.evidence_details import comparison_details, rows_to_show
from mlgate.evaluation.holdout import repeat_use
from mlgate.evaluation.judgement.sides import Absence, NoChampion
from mlgate.evaluation.mapping_check import check_mapping, truth_kind
from mlgate.evaluation.metric_set import metrics_of, needs_of
from mlgate.evaluation.outputs import OutputMapping
from mlgate.evaluation.paired_scores import PairedScores, cut
from mlgate.evaluation.rows import EvaluationData
from mlgate.evaluation.score_table import FILE, TableFacts, write_scores
from mlgate.evaluation.scored import Question, ScoredModel, score_model
from mlgate.evaluation.scoring import NotScored, ScoringLost, Tell
from mlgate.evidence import Cause, CheckResult, Finding
from mlgate.policy import Policy
from mlgate.sandbox.interface import Champion
from mlgate.scoring.client import ScoringClient
from mlgate.statistics.interval import Undefined


@dataclass(frozen=True, slots=True, kw_only=True)
class NoScores:
    """The challenger has no scores to judge.

    Attributes:
        reason: Why; names the row where a row is at fault.
        cause: Who has to act.
        advice: What they can do.
    """

    reason: str
    cause: Cause
    advice: str = "accuracy.data names the evaluation data"


@dataclass(frozen=True, kw_only=True)
class AccuracyRun:
    """Both models' scores, and what the run adds to the findings.

    Attributes:
        scores: What is judged.
        checks: Ids that the policy expects, in order; the first carries the tables.
        details: For every finding: digest of the scores file, and how the scores came about.
        tables: Makes what the first check carries: tables, weak slices, what is to be known of the data.
    """

    scores: PairedScores
    checks: tuple[str, ...]
    details: Mapping[str, Any] = field(default_factory=dict)
    tables: Callable[[], Mapping[str, Any]] = dict

    def judge(self, key: str) -> tuple[Finding, tuple[CheckResult, ...]]:
        """Judge one check that the policy expects; see `PairedScores.judge`."""
        finding, parts = self.scores.judge(key)
        more = {**self.details, **(self.first_details if self.checks and key == self.checks[0] else {})}
        return replace(finding, details={**finding.details, **more}), parts

    @cached_property
    def first_details(self) -> Mapping[str, Any]:
        """What one finding carries for all: it is large."""
        return self.tables()


def run_accuracy(
    *,
    client: ScoringClient,
    outputs: Schema | None,
    champion: Champion | None,
    data: EvaluationData | None,
    policy: Policy,
    checks: Sequence[str],
    challenger_digest: str,
    judged_before: frozenset[str],
    folder: Path,
    seed: int,
    tell: Tell,
    engine: ScoringEngine = LOCAL,
    replica: Replica | None = None,
    cache: ChampionScores | None = None,
) -> AccuracyRun | NoScores:
    """Score both models on the same rows, and write the scores to `accuracy/scores.parquet`.

    Args:
        client: Of the challenger's server.
        outputs: Its output signature.
        champion: `None` where there is none.
        data: `None` where there is none.
        policy: What is asked.
        checks: Ids of the accuracy checks that it expects.
        challenger_digest: Of its artifacts.
        judged_before: The same of the versions that were judged on these data before.
        folder: Of the run's files.
        seed: Of every resampling.
        tell: Takes lines of progress.
        engine: Decides where rows are scored, for both models.
        replica: Serves the challenger on other machines; `None` keeps to this one.
        cache: Of the champion's scores; default: the user's.

    Raises:
        PolicyError: A metric of the user's own can not be used.
        OutputError: The scores can not be written.
    """
    if data is None:
        return NoScores(reason="no evaluation data", cause=Cause.HARNESS)
    question = _question(policy, data)
    metrics = metrics_of(policy.values.accuracy, policy.folder, classification=bool(question.classes.names))
    question = replace(question, needs=needs_of(metrics))
    try:
        ours = score_model(client, question, outputs, engine=engine, replica=replica, who="challenger", tell=tell)
        theirs = _score_champion(champion, question, policy, engine, tell, cache or ChampionScores())
    except NotScored as error:
        return NoScores(reason=str(error), cause=Cause.MODEL)
    except DataError as error:
        return NoScores(reason=str(error), cause=Cause.HARNESS)
    except ScoringLost as error:
        return NoScores(reason=str(error), cause=Cause.HARNESS, advice="no model is at fault: test this version again")
    scores = PairedScores(
        accuracy=policy.values.accuracy,
        metrics=metrics,
        challenger=ours,
        champion=theirs,
        slices=cut(policy.values.accuracy, data.context),
        seed=seed,
        context=data.context,
    )
    facts = TableFacts(
        data=data.digest,
        challenger=challenger_digest,
        champion="" if champion is None else champion.artifact_digest,
        checks=tuple(checks),
    )
    return AccuracyRun(
        scores=scores,
        checks=tuple(checks),
        details=_details(scores, _written(folder, scores, data, facts)),
        tables=lambda: {
            **_tables(scores, data, full=policy.values.evidence.rows == "full"),
            **_warning(len(judged_before | {challenger_digest}), policy.values.accuracy.max_challengers),
        },
    )


def check_metrics(policy: Policy, data: EvaluationData, *, model: Path) -> None:
    """Refuse metrics of the user's own that can not be used, before anything is started.

    Args:
        policy: What is asked.
        data: By its labels a function gets classes or numbers.
        model: The model directory, whose code never runs here.

    Raises:
        PolicyError: No such function, it can not be imported, or it takes what is not there.
    """
    classification = bool(_question(policy, data).classes.names)
    metrics_of(policy.values.accuracy, policy.folder, classification=classification, model_directories=(model,))


def _question(policy: Policy, data: EvaluationData) -> Question:
    accuracy = policy.values.accuracy
    mapping = OutputMapping.of(accuracy)
    kind = truth_kind(accuracy) or ("classes" if data.truth.numbers is None else "numbers")
    stated = accuracy.positive is not None
    none = Classes(names=(), positive=None)
    return Question(
        data=data,
        mapping=mapping,
        classes=Classes.of(data.truth.found, mapping, stated=stated) if kind == "classes" else none,
        needs=frozenset(),
        key=accuracy.key or "",
    )


def _score_champion(
    champion: Champion | None,
    question: Question,
    policy: Policy,
    engine: ScoringEngine,
    tell: Tell,
    cache: ChampionScores,
) -> ScoredModel | NoChampion:
    """Return the champion's answers: kept ones, else it is asked; or why there are none."""
    if champion is None:
        return NoChampion(absence=Absence.FIRST)
    try:
        check_mapping(policy.values.accuracy, champion.signature.outputs)
        theirs = replace(question, data=question.data.for_inputs(champion.signature.inputs))
    except (PolicyError, DataError) as error:
        return NoChampion(absence=Absence.SIGNATURE, reason=error.message)
    try:
        key = ScoresKey.of(
            theirs,
            champion=champion.artifact_digest,
            recipe=champion.recipe_digest(),
            label=policy.values.accuracy.label or "",
            environment=policy.values.runtime.env,
        )
        kept = None if key is None else cache.get(key, theirs)
        if kept is not None:
            tell(f"the champion is not asked again: its scores are kept from {kept.scored_at}")
            return kept
        with champion.serving() as client:
            outputs, replica = champion.signature.outputs, champion.replica
            scored = score_model(client, theirs, outputs, engine=engine, replica=replica, who="champion", tell=tell)
    except DataError:
        raise  # the data went wrong meanwhile, and not the champion
    except (NotScored, MlgateError) as error:
        return NoChampion(absence=Absence.BROKEN, reason=str(error))
    if key is not None:
        cache.put(key, scored)
    return scored


def _written(folder: Path, scores: PairedScores, data: EvaluationData, facts: TableFacts) -> str:
    try:
        return write_scores(folder / FILE, scores, data, facts)
    except OSError as error:
        raise OutputError(f"{folder / FILE}: can not be written ({error.strerror or error})") from error


def _details(scores: PairedScores, digest: str) -> dict[str, Any]:
    scoring = {"challenger": scores.challenger.to_json()}
    if isinstance(scores.champion, ScoredModel):
        scoring["champion"] = scores.champion.to_json()
    return {"scores": digest, "scoring": scoring}


def _warning(challengers: int, limit: int) -> dict[str, str]:
    text = repeat_use(challengers, limit)
    return {"warning": text} if text else {}


def _tables(scores: PairedScores, data: EvaluationData, *, full: bool) -> dict[str, Any]:
    ours = scores.challenger.sample
    theirs = scores.champion.sample if isinstance(scores.champion, ScoredModel) else None
    features = None
    if full:
        features = data.take([int(row) for row in rows_to_show(ours, theirs)]).records()
    found: dict[str, Any] = {"tables": comparison_details(ours, theirs, data.keys, features=features)}
    weak = scores.comparison.weak_slices() if scores.context else None
    if weak is not None and not isinstance(weak, Undefined):
        found |= weak.to_json()
    if data.warnings:
        found["data_warnings"] = list(data.warnings)
    return found
