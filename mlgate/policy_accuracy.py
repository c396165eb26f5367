"""The section `accuracy` of `mlgate.yaml`: data, output mapping, metrics, slices and gaps."""

import difflib
import re
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from mlgate.evaluation.metric_names import METRICS, Better, MetricFacts, Need
from mlgate.evaluation.slice_spec import SliceSpec, check_distinct, parse_slice
from mlgate.policy_section import Section, Share

# `package.module:function`, a metric of the user's own.
_OWN_METRIC = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", re.ASCII)
# What people call a metric elsewhere, where no likeness of letters leads to our name.
_ALSO_CALLED = {
    "auc": "roc_auc", "auroc": "roc_auc", "mse": "rmse", "ap": "average_precision", "auprc": "average_precision",
    "pr_auc": "average_precision", "logloss": "log_loss", "cross_entropy": "log_loss", "sensitivity": "recall",
    "tpr": "recall", "tnr": "specificity", "ppv": "precision", "f_score": "f1", "f1_score": "f1",
    "calibration": "ece", "matthews": "mcc", "quantile_loss": "pinball", "median_ae": "median_absolute_error",
}  # fmt: skip


def _slice(value: object) -> object:
    """Refuse what is no slice, and keep it as it is written: the policy shows and digests it so."""
    parse_slice(value)
    return value


_BINS = {"type": "array", "items": {"type": "number"}, "minItems": 1}
_COLUMN = {
    "type": "object",
    "properties": {"column": {"type": "string"}, "bins": _BINS},
    "required": ["column"],
    "additionalProperties": False,
}
_PARTS = {"type": "array", "items": {"anyOf": [{"type": "string"}, _COLUMN]}, "minItems": 2, "maxItems": 2}
_CROSS = {"type": "object", "properties": {"cross": _PARTS}, "required": ["cross"], "additionalProperties": False}
_SLICE_SCHEMA: dict[str, Any] = {
    "anyOf": [{"type": "string", "examples": ["region", "age >= 65"]}, _COLUMN, _CROSS],
}
SliceEntry = Annotated[Any, BeforeValidator(_slice), WithJsonSchema(_SLICE_SCHEMA)]


class Metric(Section):
    """What one metric must hold; in the metric's own unit."""

    min: float | None = None
    max: float | None = None
    margin: float | None = Field(default=None, gt=0, description="loss allowed against the champion")
    at: float | None = Field(default=None, description="the metric's parameter: k of ndcg, the quantile of pinball")
    better: Literal["more", "less"] | None = Field(
        default=None, description="of a metric of your own; default: by min or max"
    )

    @model_validator(mode="after")
    def _asks_something(self) -> Self:
        if self.min is None and self.max is None and self.margin is None:
            raise ValueError("asks nothing; give min, max or margin")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min:g} is above max {self.max:g}: no model could pass")
        return self


class Gap(Section):
    """How far a metric may stand apart between the best and the worst value of a column."""

    column: str = Field(min_length=1)
    metric: str = Field(description="a metric of accuracy.metrics, or any that needs no parameter")
    max: float = Field(gt=0, description="in the metric's own unit")


class Accuracy(Section):
    """The accuracy suite."""

    data: str | None = Field(
        default=None,
        description="Parquet, CSV or Arrow: file, folder, glob or s3://, relative to the policy file; "
        "default: the dataset logged on the source run",
    )
    digest: str | None = Field(default=None, pattern=r"^sha256:[0-9a-f]{64}$", description="pins the data")
    label: str | None = None
    key: str | None = Field(default=None, description="pairs challenger and champion; default: row number")
    group: str | None = Field(default=None, description="column; rows of one group are not independent")
    prediction: str | int | None = None
    score: str | int | None = None
    classes: tuple[str | int | float | bool, ...] | None = Field(default=None, strict=False)
    positive: str | int | float | bool | None = None
    threshold: float | None = None
    metrics: dict[str, Metric] = Field(default_factory=dict)
    slices: tuple[SliceEntry, ...] = Field(
        default=(), strict=False, description="each value is held to the margins: column, expression, bins or cross"
    )
    gaps: tuple[Gap, ...] = Field(default=(), strict=False, description="largest gap between the values of a column")
    confidence: Share = Field(default=0.95, gt=0.5, lt=1)
    # A name of the entry point group `mlgate.evaluators`: only the run knows what is installed.
    engine: str = Field(
        default="local", pattern=r"^[a-z][a-z0-9_]*$", description="ray scores over many machines; local on this one"
    )
    max_challengers: int = Field(
        default=20, ge=1, le=1_000_000, description="a holdout judged against more challengers gets a warning"
    )

    @model_validator(mode="after")
    def _metrics_fit(self) -> Self:
        for name, metric in self.metrics.items():
            facts = self._facts(name, "metrics")
            if facts is None:
                _check_own(name, metric)
            else:
                _check_metric(name, metric, facts)
        return self

    @model_validator(mode="after")
    def _gaps_fit(self) -> Self:
        for index, gap in enumerate(self.gaps):
            place = f"gaps.{index}"
            facts = self._facts(gap.metric, f"{place}.metric")
            listed = gap.metric in self.metrics
            if facts is None and not listed:
                raise ValueError(f"{place}.metric {gap.metric} is a metric of your own: list it under metrics, too")
            if facts is not None and facts.at is not None and facts.at.default is None and not listed:
                raise ValueError(f"{place}.metric {gap.metric} needs its parameter: list it under metrics with at")
            if (gap.column, gap.metric) in [(other.column, other.metric) for other in self.gaps[:index]]:
                raise ValueError(f"{place} asks for {gap.metric} over {gap.column} a second time")
        return self

    @model_validator(mode="after")
    def _slices_fit(self) -> Self:
        try:
            check_distinct(self.slice_specs)
        except ValueError as error:
            raise ValueError(f"slices: {error}") from error
        if self.slices and self.metrics and all(metric.margin is None for metric in self.metrics.values()):
            raise ValueError("slices: no metric has a margin, so nothing would be judged on them; give one a margin")
        return self

    @property
    def decides(self) -> bool:
        """Whether metrics are known. Data are too, then: those named here, or those logged on the source run."""
        return bool(self.metrics)

    @property
    def slice_specs(self) -> tuple[SliceSpec, ...]:
        """The slices, read."""
        return tuple(map(parse_slice, self.slices))

    @property
    def own_metrics(self) -> tuple[str, ...]:
        """Metrics that are the user's own functions: `package.module:function`."""
        return tuple(name for name in self.metrics if name not in METRICS)

    @property
    def context_columns(self) -> tuple[str, ...]:
        """Columns that slices and gaps read, each once."""
        sliced = [column for spec in self.slice_specs for column in spec.columns]
        return tuple(dict.fromkeys([*sliced, *(gap.column for gap in self.gaps)]))

    def _facts(self, name: str, place: str) -> MetricFacts | None:
        """Return what is known of a metric; `None` of the user's own.

        Raises:
            ValueError: There is none of that name, or it needs a group and there is none.
        """
        facts = METRICS.get(name)
        if facts is not None and Need.GROUP in facts.needs and self.group is None:
            raise ValueError(f"{place}.{name} ranks the rows of a group: name its column in accuracy.group")
        if facts is None and not _OWN_METRIC.fullmatch(name):
            close = difflib.get_close_matches(name.lower(), METRICS, n=1, cutoff=0.5)
            likely = _ALSO_CALLED.get(name.lower()) or (close[0] if close else None)
            hint = f"did you mean {likely}? " if likely else ""
            known = ", ".join(METRICS)
            raise ValueError(f"{place}.{name} is no metric; {hint}there are {known}, and your own as module:function")
        return facts


def _check_metric(name: str, metric: Metric, facts: MetricFacts) -> None:
    wrong = {Better.MORE: "max", Better.LESS: "min"}.get(facts.better)
    if wrong is not None and getattr(metric, wrong) is not None:
        better = "smaller" if wrong == "min" else "larger"
        raise ValueError(f"metrics.{name}.{wrong} can not be a floor: {better} is better for {name}")
    if metric.better is not None:
        raise ValueError(f"metrics.{name}.better is for metrics of your own; of {name} it is known")
    if facts.at is None:
        if metric.at is not None:
            raise ValueError(f"metrics.{name}.at has no meaning: {name} has no parameter")
        return
    bounds = f"{facts.at.what}, {'a whole number ' if facts.at.whole else ''}from {facts.at.low:g} to {facts.at.high:g}"
    if metric.at is None:
        if facts.at.default is None:
            raise ValueError(f"metrics.{name}.at is missing: {bounds}")
        return
    if not facts.at.low <= metric.at <= facts.at.high or (facts.at.whole and not metric.at.is_integer()):
        raise ValueError(f"metrics.{name}.at {metric.at:g} is not {bounds}")


def _check_own(name: str, metric: Metric) -> None:
    if metric.at is not None:
        raise ValueError(f"metrics.{name}.at has no meaning for a metric of your own: put it into the function")
    if metric.better is None and (metric.min is None) == (metric.max is None):
        raise ValueError(f"metrics.{name}.better is missing: say whether more or less of it is better")
    wrong = "min" if metric.better == "less" else "max" if metric.better == "more" else None
    if wrong is not None and getattr(metric, wrong) is not None:
        raise ValueError(f"metrics.{name}.{wrong} can not be a floor: better is {metric.better}")
