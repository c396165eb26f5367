"""`mlgate accuracy plan` and `mlgate accuracy recompute`."""

import typer

from mlgate.cli import accuracy_plan, accuracy_recompute

app = typer.Typer(
    help="Plan the accuracy suite before a run; judge it again after one.", no_args_is_help=True, rich_markup_mode=None
)
app.command(accuracy_plan.NAME, help=accuracy_plan.HELP)(accuracy_plan.command)
app.command(accuracy_recompute.NAME, help=accuracy_recompute.HELP)(accuracy_recompute.command)
