"""`mlgate image build`: a version and its tested environment in one image."""

import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlgate.cli.console import DryRunOption, Output, OutputOption, PolicyOption, emit_json, result, say, table
from mlgate.errors import ConfigError
from mlgate.quantities import format_size

if TYPE_CHECKING:
    from mlgate.artifacts.directory import ModelDirectory
    from mlgate.images.deployable import DeployableImage
    from mlgate.images.facts import BuiltImage
    from mlgate.images.reference import ImageReference
    from mlgate.model_version import ModelVersion
    from mlgate.policy import Policy
    from mlgate.sandbox.engine import Engine

NAME = "build"
HELP = (
    "Put a version and its tested environment into one image."
    " Example: mlgate image build models:/churn/3 --tag registry.example.com/churn:3 --push"
)


def command(
    uri: Annotated[str, typer.Argument(metavar="URI", help="models:/name/3, models:/name@alias, or a directory")],
    tag: Annotated[str, typer.Option("--tag", metavar="NAME:TAG", help="What the image is called")],
    push: Annotated[bool, typer.Option("--push", help="Send it to the registry in its name")] = False,
    policy: PolicyOption = None,
    dry_run: DryRunOption = False,
    output: OutputOption = Output.TEXT,
) -> int:
    """Build or find the environment, add the model, push; the digests go to standard output."""
    from mlgate.images.push import check_pushable
    from mlgate.images.reference import ImageReference
    from mlgate.policy_file import load_policy
    from mlgate.sandbox.engine import connect

    reference = ImageReference.parse(tag)
    if push:
        check_pushable(reference)
    loaded = load_policy(Path(policy) if policy else None)
    version, directory = _fetch(uri, loaded)
    with closing(connect()) as engine:
        if dry_run:
            facts = _foreseen(engine, version, directory, loaded, reference, push=push)
        else:
            facts = _built(engine, version, directory, loaded, reference, push=push)
    if output is Output.JSON:
        emit_json(facts)
    elif output is Output.MARKDOWN:
        cells = [(name, f"`{value}`") for name, value in facts.items() if value not in (None, "", {})]
        result(table(("what", "value"), cells, markdown=True))
    else:
        result(_sentences(facts))
    return 0


def _fetch(uri: str, policy: "Policy") -> tuple["ModelVersion", "ModelDirectory"]:
    from mlgate.artifacts.cache import fetch
    from mlgate.cli.admission import open_registry
    from mlgate.model_version import ModelUri

    parsed = ModelUri.parse(uri)
    registry = open_registry()
    version = registry.resolve(parsed)
    if policy.values.model not in (None, version.name):
        found = version.name or version.uri
        raise ConfigError(f"the policy is for model '{policy.values.model}', not '{found}'", hint="--policy FILE")
    return version, fetch(registry, version, progress=sys.stderr.isatty())


def _built(
    engine: "Engine",
    version: "ModelVersion",
    directory: "ModelDirectory",
    policy: "Policy",
    reference: "ImageReference",
    *,
    push: bool,
) -> dict[str, Any]:
    from mlgate.cli.guard import guarded
    from mlgate.images.deployable import DeployableBuilder
    from mlgate.images.docker import ImageBuilder
    from mlgate.images.push import push as send
    from mlgate.images.push import registry_digest
    from mlgate.images.version_recipe import limits_of, version_recipe

    recipe = version_recipe(directory, policy)
    with guarded(engine) as session:
        environment = ImageBuilder(engine, session=session).build(recipe, on_progress=say)
        image = DeployableBuilder(engine, session=session).build(
            environment, directory, version, limits_of(policy), reference
        )
    if image.replaced:
        say(f"{reference} was {image.replaced} before, which has lost that name")
    digest = send(engine, reference, on_progress=say) if push else registry_digest(engine, reference)
    return _facts(version, directory, image, reference, digest)


def _facts(
    version: "ModelVersion",
    directory: "ModelDirectory",
    image: "DeployableImage",
    reference: "ImageReference",
    registry_digest: str,
) -> dict[str, Any]:
    return {
        "uri": version.uri,
        "reference": image.reference,
        "image_digest": image.image_digest,
        "registry_digest": registry_digest or None,
        "registry_reference": f"{reference.name}@{registry_digest}" if registry_digest else None,
        "artifact_digest": directory.digest,
        "recipe_digest": image.environment.recipe_digest,
        "size": image.size,
        "environment": {
            "image_digest": image.environment.image_digest,
            "size": image.environment_size,
            "found": image.environment.hit,
        },
        "model": {"layer": image.layer, "size": image.model_size, "found": image.hit},
        "replaced": image.replaced or None,
    }


def _foreseen(
    engine: "Engine",
    version: "ModelVersion",
    directory: "ModelDirectory",
    policy: "Policy",
    reference: "ImageReference",
    *,
    push: bool,
) -> dict[str, Any]:
    """Return what a build would do; nothing is written, and the base image is not pulled."""
    from mlgate.images.docker import ImageBuilder
    from mlgate.images.version_recipe import version_recipe

    found: BuiltImage | None = ImageBuilder(engine).find(version_recipe(directory, policy))
    return {
        "dry_run": True,
        "uri": version.uri,
        "reference": str(reference),
        "push": push,
        "artifact_digest": directory.digest,
        "recipe_digest": found.recipe_digest if found else None,
        "environment": {"image_digest": found.image_digest if found else None, "found": found is not None},
        "model": {"size": sum(file.size for file in directory.files)},
    }


def _sentences(facts: dict[str, Any]) -> str:
    environment, model = facts["environment"], facts["model"]
    uri, reference = facts["uri"], facts["reference"]
    if facts.get("dry_run"):
        what = f"with {environment['image_digest']}" if environment["found"] else "with an environment to be built"
        lines = [f"{uri}: would build {reference} {what} and {format_size(model['size'])} of model"]
        return "\n".join([*lines, f"would push {reference}"] if facts["push"] else lines)
    word = "found" if model["found"] else "built"
    below = f"environment {format_size(environment['size'])} ({'found' if environment['found'] else 'built'})"
    lines = [
        f"{uri}: {word} {reference}, {facts['image_digest']}",
        f"{format_size(facts['size'])}: {below}, model {format_size(model['size'])}",
    ]
    if facts["registry_reference"]:
        lines.append(facts["registry_reference"])
    return "\n".join([*lines, f"Next: pytest --mlgate {uri} --mlgate-image {facts['registry_reference'] or reference}"])
