"""What a given image says of itself, and what of that is believed."""

import importlib.metadata
import json
import subprocess
import sys

import pytest

from mlgate.images.facts import FACTS_LABEL, facts_text
from mlgate.images.given import LISTING, Contents, from_attributes, interpreters, read_listing, registry_digest
from mlgate.images.labels import RECIPE_DIGEST_LABEL

A, B = ("sha256:" + letter * 64 for letter in "ab")
PINS = ("mlflow==3.17.2", "scikit-learn==1.9.1")
ATTRIBUTES = {
    "Id": A,
    "Os": "linux",
    "Architecture": "amd64",
    "RepoDigests": [f"registry.example.com:5000/churn@{B}"],
    "Config": {
        "Entrypoint": ["/opt/venv/bin/python", "-m", "mlgate_serving"],
        "Cmd": ["--port", "8080", "--threads", "2"],
        "Env": ["PATH=/bin", "HOME=/srv", "EMPTY="],
        "ExposedPorts": {"9000/tcp": {}, "80/tcp": {}, "53/udp": {}},
        "Volumes": {"/data": {}},
        "Labels": {
            RECIPE_DIGEST_LABEL: B,
            FACTS_LABEL: facts_text(base="python:3.11-slim", base_digest=A, python="3.11.2", pins=PINS),
        },
    },
}


def image(**changes):
    """The image of the attributes above."""
    from dataclasses import replace

    return replace(from_attributes(ATTRIBUTES, name="registry.example.com:5000/churn:3"), **changes)


def test_what_the_engine_says_of_an_image_is_read():
    """All that a server of it has to know."""
    found = image()
    assert (found.reference, found.platform, found.registry_digest) == (A, "linux/amd64", B)
    assert found.ports == (80, 9000)
    assert found.volumes == ("/data",)
    assert found.environment == {"PATH", "HOME", "EMPTY"}


def test_an_image_that_sets_nothing_is_read_too():
    """Engines leave out, or say null, what is not set."""
    bare = {"Id": A, "Os": "linux", "Architecture": "arm64", "RepoDigests": None}
    for config in (None, {"Entrypoint": None, "Cmd": None, "Env": None, "ExposedPorts": None, "Labels": None}):
        found = from_attributes({**bare, "Config": config}, name="churn")
        assert (found.command, found.ports, found.volumes, found.registry_digest) == ((), (), (), "")


def test_the_evidence_says_that_it_was_given_and_what_is_in_it():
    """Ours carries its recipe; its own entry point is what serves."""
    facts = image(contents=Contents(python="3.11.2", pins=PINS), model_digest=B).facts(threads=1)
    assert (facts.origin, facts.image_digest, facts.registry_digest, facts.model_digest) == ("given", A, B, B)
    assert (facts.python, facts.pins, facts.threads) == ("3.11.2", PINS, 2)
    assert (facts.recipe_digest, facts.base, facts.base_digest) == (B, "python:3.11-slim", A)
    assert facts.server.startswith("own entry point: /opt/venv/bin/python -m mlgate_serving --port 8080")


@pytest.mark.parametrize(
    "contents",
    [
        Contents(python="3.11.2", pins=(*PINS, "six==1.17.0")),
        Contents(python="3.11.2", pins=PINS[:1]),
        Contents(python="3.12.1", pins=PINS),
        Contents(),
    ],
)
def test_labels_of_an_image_that_was_built_on_are_not_believed(contents):
    """They are inherited, and what they speak of is not any more what is in it."""
    facts = image(contents=contents).facts(threads=1)
    assert (facts.recipe_digest, facts.base, facts.base_digest) == ("", "", "")


@pytest.mark.parametrize("label", ["", "{", "[]", "{}", '{"python": "3.11.2", "pins": 5}', "null"])
def test_a_label_that_is_not_ours_is_no_error(label):
    """Anybody may write labels."""
    facts = image(labels={FACTS_LABEL: label}, contents=Contents(python="3.11.2", pins=PINS)).facts(threads=1)
    assert facts.recipe_digest == ""


@pytest.mark.parametrize(
    ("digests", "name", "expected"),
    [
        ([f"a/churn@{A}", f"b/churn@{B}"], "b/churn:3", B),
        ([f"a/churn@{A}", f"b/churn@{B}"], "c/churn:3", A),
        ([f"localhost:5000/churn@{A}"], "localhost:5000/churn", A),
        ([f"a/churn@{A}", f"b/churn@{B}"], f"b/churn@{B}", B),
        ([f"a/churn@{A}"], f"a/churn@{B}", ""),
        ([f"docker.io/library/churn@{A}"], "churn:3", A),
        (["<none>"], "churn:3", ""),
        ([], "churn:3", ""),
    ],
)
def test_the_registry_digest_is_that_of_the_repository_that_was_named(digests, name, expected):
    """A cluster pulls by it; an image that was never in a registry has none."""
    assert registry_digest(digests, name) == expected


def test_the_interpreter_of_the_entry_point_is_asked_and_no_other():
    """What serves is what is judged; another Python in the image may hold other packages."""
    assert interpreters(("/srv/bin/python3.11", "-m", "serve")) == (("/srv/bin/python3.11", "-c"),)


def test_without_one_the_usual_places_are_tried_an_entered_environment_first():
    """MLflow's images serve from an environment that a shell script enters."""
    tried = interpreters(("/entrypoint.sh",))
    assert [command[0] for command in tried] == ["bash", "/opt/venv/bin/python", "python", "python3"]
    assert [command[0] for command in interpreters(("python", "-c", "serve()"))][:2] == ["bash", "python"]


def test_the_listing_lists_what_is_installed_here():
    """Run by this very interpreter, against its own metadata."""
    done = subprocess.run([sys.executable, "-c", LISTING], capture_output=True, text=True, check=True)
    found = read_listing(done.stdout)
    assert found is not None
    assert found.python == sys.version.split()[0]
    assert f"pytest=={importlib.metadata.version('pytest')}" in found.pins


def listing(**changes):
    return json.dumps({"python": "3.11.2", "pins": ["a==1", "B_b @ git+https://user:secret@host/b@0123"]} | changes)


def test_a_listing_after_other_output_is_read_and_credentials_are_left_out():
    """A sitecustomize may print first; a URL may carry a token."""
    assert read_listing(f"hello\n{listing()}\n") == Contents(
        python="3.11.2", pins=("a==1", "b-b @ git+https://host/b@0123")
    )


@pytest.mark.parametrize(
    "output",
    ["", "\n", "hello", "[1]", "[" * 100_000, listing(pins=[]), listing(pins=["a==1\nb"]), listing(pins=[1]), listing(pins="a==1"),
     listing(python="3"), listing(python=None), listing(pins=["a==1"] * 10_001), listing(pins=["a==" + "1" * 5000])],
)  # fmt: skip
def test_output_that_is_no_listing_tells_nothing(output):
    """An image may print what it likes."""
    assert read_listing(output) is None
