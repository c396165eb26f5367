"""`mlgate image build|list|prune`."""

import typer

from mlgate.cli import image_build, image_storage

app = typer.Typer(
    help="Build the image that serves a version; list and remove images.", no_args_is_help=True, rich_markup_mode=None
)
app.command(image_build.NAME, help=image_build.HELP)(image_build.command)
app.command("list", help=image_storage.LIST_HELP)(image_storage.list_command)
app.command("prune", help=image_storage.PRUNE_HELP)(image_storage.prune_command)
