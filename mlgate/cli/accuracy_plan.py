"""`mlgate accuracy plan`: what loss a number of rows would show, before any run."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mlgate.cli.console import Output, OutputOption, PolicyOption, emit_json, result, table

if TYPE_CHECKING:
    from mlgate.evaluation.plan import PlannedMetric

NAME = "plan"
HELP = "Print what loss a number of evaluation rows can show. Example: mlgate accuracy plan --rows 5000"
_HEADER = (
    "metric",
    "margin",
    "detectable loss",
    "rows for the margin",
    "in the slice",
    "rows for the slice",
    "assumed",
)


def _share(text: str) -> float:
    """Read `5%`."""
    from mlgate.quantities import parse_percent

    try:
        share = parse_percent(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    if not 0 < share < 1:
        raise typer.BadParameter(f"'{text}' is not between 0% and 100%")
    return share


def command(
    rows: Annotated[int, typer.Option("--rows", min=1, max=10**12, help="Evaluation rows there would be")],
    policy: PolicyOption = None,
    discordance: Annotated[
        str, typer.Option("--discordance", metavar="SHARE", help="Rows on which only one of the two models is right")
    ] = "5%",
    positives: Annotated[
        str, typer.Option("--positives", metavar="SHARE", help="Rows of the positive (or the rarest) class")
    ] = "20%",
    slices_share: Annotated[
        str,
        typer.Option("--slices-share", metavar="SHARE", help="Rows in the smallest slice, where the policy has slices"),
    ] = "10%",
    correlation: Annotated[
        float, typer.Option("--correlation", min=0.0, max=0.999, help="Between the two models' scores or errors")
    ] = 0.9,
    rows_per_group: Annotated[
        float, typer.Option("--rows-per-group", min=1.0, help="Rows of one ranking, for ndcg and mrr")
    ] = 10.0,
    design_effect: Annotated[
        float, typer.Option("--design-effect", min=1.0, help="By how much accuracy.group inflates the variance")
    ] = 1.0,
    kurtosis: Annotated[
        float, typer.Option("--kurtosis", min=1.0, max=100.0, help="Of a regression's errors: 3 normal, 9 heavy tails")
    ] = 3.0,
    output: OutputOption = Output.TEXT,
) -> int:
    """Print, for each metric of the policy, the loss that the rows can show and the rows that the margin needs."""
    from mlgate.errors import PolicyError
    from mlgate.evaluation.plan import Assumptions, plan
    from mlgate.policy_file import load_policy

    loaded = load_policy(Path(policy) if policy else None)
    accuracy = loaded.values.accuracy
    if not accuracy.metrics:
        raise PolicyError("the policy has no accuracy.metrics: nothing to plan", hint="mlgate init shows the section")
    assumed = Assumptions(
        discordance=_share(discordance),
        positives=_share(positives),
        correlation=correlation,
        per_group=rows_per_group,
        design_effect=design_effect,
        kurtosis=kurtosis,
    )
    smallest = _share(slices_share) if accuracy.slices else None
    planned = plan(accuracy, rows, assumed, slice_share=smallest)
    if output is Output.JSON:
        emit_json({
            "rows": rows, "confidence": accuracy.confidence, "power": 0.8, "slices_share": smallest,
            "assumptions": asdict(assumed), "metrics": [asdict(metric) for metric in planned],
        })  # fmt: skip
        return 0
    result(_table(planned, sliced=smallest is not None, markdown=output is Output.MARKDOWN))
    result(_summary(planned, rows, accuracy.confidence, slices_share if smallest is not None else ""))
    return 0


def _table(planned: tuple["PlannedMetric", ...], *, sliced: bool, markdown: bool) -> str:
    from mlgate.quantities import format_number

    def cell(value: float | None, form: Callable[[float], str] = format_number) -> str:
        return "-" if value is None else form(value)

    lines = [
        [metric.name, cell(metric.margin), cell(metric.detectable, lambda loss: format_number(loss, 3)), cell(metric.needed),
         cell(metric.slice_detectable, lambda loss: format_number(loss, 3)), cell(metric.slice_needed), metric.assumption]
        for metric in planned
    ]  # fmt: skip
    kept = [index for index, title in enumerate(_HEADER) if sliced or "slice" not in title]
    return table(
        [_HEADER[index] for index in kept], [[line[index] for index in kept] for line in lines], markdown=markdown
    )


def _summary(planned: tuple["PlannedMetric", ...], rows: int, confidence: float, slices_share: str) -> str:
    from mlgate.quantities import format_number, format_share

    needed = [found for metric in planned for found in (metric.needed, metric.slice_needed) if found is not None]
    where = f"; the smallest slice holds {slices_share} of them" if slices_share else ""
    given = (
        f"{format_number(rows)} rows, {format_share(confidence)} confidence, 80 % power, two equally good models{where}"
    )
    short = max(needed, default=0) - rows
    if not needed:
        return f"{given}. No metric has a margin."
    verdict = f"needs {format_number(short)} more rows" if short > 0 else "enough for every margin"
    return f"{given}: {verdict}."
