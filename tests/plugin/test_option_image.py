"""--mlgate-image: a given image is tested, and nothing is built."""

import pytest

from mlgate.artifacts.directory import read_directory
from mlgate.errors import ConfigError, EngineError
from mlgate.images.given import Contents, GivenImage
from pytest_mlgate import wiring
from tests.plugin.conftest import OUTPUT
from tests.plugin.seam import PINS

NAME = "registry.example.com/churn:1"
REGISTRY_DIGEST = "sha256:" + "e" * 64


def given(models, **changes):
    """The image of the good model."""
    facts = {
        "name": NAME,
        "reference": "sha256:" + "d" * 64,
        "platform": "linux/amd64",
        "registry_digest": REGISTRY_DIGEST,
        "command": ("serve", "--now"),
        "labels": {},
        "contents": Contents(python="3.11.9", pins=PINS),
        "model_digest": read_directory(models("good")).digest,
        "python_asked": "3.11.9",
    }
    return GivenImage(**facts | changes)


@pytest.fixture
def imaged(gated, models):
    """A project where building an image would end the run."""
    gated.world.images[NAME] = given(models)
    gated.world.at["build"] = EngineError("something was built")
    return gated


def test_the_given_image_is_tested_and_named_in_the_evidence(imaged):
    """By the digest that a cluster will pull; the version gets its tags, for its very model is in the image."""
    result = imaged.run("--mlgate-image", NAME)
    assert result.ret == 0, result.outlines
    result.stdout.fnmatch_lines([f"mlgate: image {NAME} sha256:ddd*, given; nothing is built"])
    image = imaged.evidence().image
    assert (image.origin, image.registry_digest, image.server) == (
        "given",
        REGISTRY_DIGEST,
        "own entry point: serve --now",
    )
    assert image.model_digest == imaged.evidence().subject.artifact_digest
    assert imaged.tags()["mlgate.status"] == "passed"


def test_the_checks_of_the_environment_judge_what_is_found_in_the_image(imaged):
    """Nothing was installed, and the report says so; the pins are compared all the same."""
    imaged.run("--mlgate-image", NAME)
    found = {check.key: check.finding for check in imaged.evidence().checks() if check.id.startswith("environment.")}
    assert (
        found["environment.install"].reason == "image given, nothing was installed by this run; 2 packages found in it"
    )
    assert found["environment.pins"].outcome == "passed"


def test_an_image_with_other_packages_than_the_version_asks_for_fails_its_pins(imaged, models):
    """The model would run in production with what nobody trained it with."""
    imaged.world.images[NAME] = given(models, contents=Contents(python="3.11.9", pins=("mlflow==2.9.2", PINS[1])))
    assert imaged.run("--mlgate-image", NAME).ret == 1
    failed = [key for key, outcome in imaged.outcomes().items() if outcome == "failed"]
    assert failed == ["environment.pins"]


def test_an_image_that_does_not_tell_what_is_in_it_is_never_a_pass(imaged, models):
    """Fail closed: two required checks have nothing to go by."""
    imaged.world.images[NAME] = given(models, contents=Contents())
    assert imaged.run("--mlgate-image", NAME).ret == 20
    undecided = [key for key, outcome in imaged.outcomes().items() if outcome == "inconclusive"]
    assert undecided == ["environment.install", "environment.pins"]


def test_an_image_without_a_model_to_compare_is_tested_and_never_promotable(imaged, models):
    """Like a directory: a verdict, and nothing in the registry."""
    imaged.world.images[NAME] = given(models, model_digest="")
    result = imaged.run("--mlgate-image", NAME)
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        ["mlgate: UNVERIFIED IMAGE: no model at /opt/ml/model in it; writes no tags, admits nothing"]
    )
    assert imaged.last_line(result).startswith("models:/churn/1: passed (UNVERIFIED IMAGE, unsigned)")
    assert imaged.world.registry.writes == []


def test_an_image_with_another_model_is_refused_before_anything_starts(imaged):
    """No tag, no folder, no server."""
    imaged.world.at["image"] = ConfigError(f"image {NAME} holds another model")
    result = imaged.run("--mlgate-image", NAME)
    assert "holds another model" in imaged.refusal(result)
    assert not (imaged.pytester.path / OUTPUT).exists()


def test_an_image_that_is_nowhere_ends_the_run_as_an_engine_that_is_not_there(imaged):
    """Exit status 3: it can be tried again."""
    imaged.world.at["image"] = EngineError(f"image {NAME} is not on this engine and can not be pulled")
    result = imaged.run("--mlgate-image", NAME)
    assert result.ret == 3
    assert imaged.world.registry.writes == []


def test_an_image_in_a_process_sandbox_is_refused(imaged):
    """A process has no image."""
    refused = imaged.refusal(imaged.run("--mlgate-image", NAME, "--mlgate-sandbox", "process"))
    assert "--mlgate-image needs a container engine" in refused


def test_the_champion_is_served_from_its_own_build(gated, models, monkeypatch):
    """The given image is the challenger's."""
    gated.register()
    gated.register()
    gated.world.registry.set_alias("churn", "champion", "2")
    gated.world.images[NAME] = given(models)
    data = gated.pytester.path / "data.csv"
    rows = "\n".join(
        f"{20 + n % 60},{n % 9},{1 / (1 + abs(20 + n % 60 - 40) / 10) + (n * 37 % 101 - 50) / 500}" for n in range(200)
    )
    data.write_text(f"age,visits,truth\n{rows}\n")
    gated.policy(
        requires="accuracy", more="accuracy: {data: data.csv, label: truth, metrics: {rmse: {max: 1, margin: 0.5}}}"
    )
    built = []

    def build(directory, policy, **options):
        built.append(directory.path)
        return gated.world.make_server(directory, policy, **options)

    monkeypatch.setattr(wiring, "make_server", build)
    result = gated.run("--mlgate-image", NAME)
    assert result.ret == 0, result.outlines
    assert len(built) == 1
    assert gated.evidence().image.origin == "given"
