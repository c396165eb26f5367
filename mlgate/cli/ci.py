"""`mlgate ci from-webhook`: what a pipeline needs around the other commands."""

import typer

from mlgate.cli import ci_webhook

app = typer.Typer(help="Pieces of a pipeline.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def ci() -> None:
    """Keep `from-webhook` a word of its own: typer takes a group's only command for the group."""


app.command(ci_webhook.NAME, help=ci_webhook.HELP)(ci_webhook.command)
