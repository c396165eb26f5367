"""`mlgate image …`: wrong usage is one line before anything is asked, and what cannot be reached is one line, too."""

import json
from datetime import timedelta

import pytest

from mlgate.cli import app, image_build, image_storage
from mlgate.errors import ConfigError


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty working directory, and neither registry nor engine."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://user:secret@127.0.0.1:1")
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nothing.sock")
    monkeypatch.setenv("MLGATE_CACHE", str(tmp_path / "cache"))
    return tmp_path


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["build", "models:/x/1"], "Missing option '--tag'. Hint: mlgate image build --help"),
        (["build", "models:/x/1", "--tag", "churn"], "'churn' has no tag"),
        (["build", "models:/x/1", "--tag", "Churn:3"], "'Churn:3' is not an image reference"),
        (["build", "models:/x/1", "--tag", "team/churn:3", "--push"], "team/churn:3 names no registry"),
        (["build", "models:/x", "--tag", "churn:3"], "'models:/x' is not a model URI"),
        (["build", "models:/x/1", "--tag", "churn:3", "--policy", "missing.yaml"], "missing.yaml: can not be read"),
        (["prune", "--older-than", "7"], "--older-than '7' is not a quantity"),
        (["prune", "--older-than", "soon"], "--older-than 'soon' is not a quantity"),
        (["prune", "--older-than", "7d", "--all"], "--older-than and --all say two things"),
        (["lis"], "No such command 'lis'"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_status_2(here, capsys, words, says):
    """Before registry or engine are asked: neither is there."""
    assert app.run(["image", *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert says in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["build", "models:/x/1", "--tag", "churn:3"], "127.0.0.1:1 does not answer"),
        (["list"], "no container engine answers"),
        (["prune", "--yes"], "no container engine answers"),
    ],
)
def test_what_does_not_answer_is_one_line_and_exit_status_3(here, capsys, words, says):
    """And no password in it."""
    assert app.run(["image", *words]) == 3
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert says in err
    assert "secret" not in err


def test_a_directory_is_built_without_a_registry_and_fails_only_at_the_engine(here, capsys):
    """The model is read first: what is wrong with it is said without an engine."""
    model = here / "model"
    model.mkdir()
    (model / "MLmodel").write_text("flavors: {python_function: {loader_module: mlflow.sklearn}}\n")
    assert app.run(["image", "build", str(model), "--tag", "churn:3"]) == 3
    assert "no container engine answers" in capsys.readouterr().err


def test_the_default_age_is_a_month():
    """Weekly pipelines keep their environments."""
    request = image_storage._request(None, everything=False, deployable=False, caches=False)
    assert (request.unused_for, request.deployable, request.caches) == (timedelta(days=30), False, False)
    assert image_storage._request(None, everything=True, deployable=False, caches=False).unused_for is None
    with pytest.raises(ConfigError):
        image_storage._request("1h", everything=True, deployable=False, caches=False)


FACTS = {
    "uri": "models:/churn/3",
    "reference": "registry.example.com/churn:3",
    "image_digest": "sha256:i",
    "registry_digest": "sha256:r",
    "registry_reference": "registry.example.com/churn@sha256:r",
    "artifact_digest": "sha256:a",
    "recipe_digest": "sha256:c",
    "size": 976 * 2**20,
    "environment": {"image_digest": "sha256:e", "size": 970 * 2**20, "found": True},
    "model": {"layer": "sha256:l", "size": 6 * 2**20, "found": False},
    "replaced": None,
}


def test_the_text_names_the_digest_that_a_cluster_pulls_and_what_to_do_next():
    """Sizes of both parts, and that only the model is new."""
    text = image_build._sentences(FACTS)
    assert "built registry.example.com/churn:3, sha256:i" in text
    assert "976 MiB: environment 970 MiB (found), model 6 MiB" in text
    assert "\nregistry.example.com/churn@sha256:r\n" in text
    assert text.endswith("--mlgate-image registry.example.com/churn@sha256:r")


def test_without_a_push_the_next_step_names_the_tag():
    """There is no digest in a registry."""
    text = image_build._sentences({**FACTS, "registry_digest": None, "registry_reference": None})
    assert text.endswith("pytest --mlgate models:/churn/3 --mlgate-image registry.example.com/churn:3")


@pytest.mark.parametrize(
    ("found", "push", "says"),
    [
        (True, False, "would build registry.example.com/churn:3 with sha256:e and 6 MiB of model"),
        (False, True, "with an environment to be built and 6 MiB of model\nwould push registry.example.com/churn:3"),
    ],
)
def test_a_dry_run_says_what_would_be_built_and_pushed(found, push, says):
    """Nothing of it happened."""
    facts = FACTS | {"dry_run": True, "push": push, "environment": {"image_digest": "sha256:e", "found": found}}
    assert says in image_build._sentences(facts)


def test_help_names_every_option(capsys):
    """What the README shows is what there is."""
    for command, options in (("build", ["--tag", "--push", "--dry-run"]), ("prune", ["--older-than", "--all", "--deployable", "--caches", "--dry-run", "--yes"])):  # fmt: skip
        assert app.run(["image", command, "--help"]) == 0
        said = capsys.readouterr().out
        assert [option for option in options if option not in said] == []


def test_json_is_json(here, monkeypatch, capsys):
    """Of an engine with nothing on it."""
    from mlgate.images import storage
    from mlgate.images.inventory import Inventory
    from mlgate.sandbox import engine

    class Nowhere:
        def close(self):
            pass

    monkeypatch.setattr(engine, "connect", lambda **_: Nowhere())
    monkeypatch.setattr(storage, "read_inventory", lambda _: Inventory())
    monkeypatch.setattr(storage, "sweep_staging", lambda _: None)
    assert app.run(["image", "list", "--output", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"images": [], "caches": []}
    assert app.run(["image", "prune", "--all", "--output", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"dry_run": False, "removed": [], "kept": [], "freed": 0}
