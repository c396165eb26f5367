import pytest

from mlgate.errors import EngineError
from mlgate.images.facts import facts_text, from_facts_text
from mlgate.images.recipe import Recipe, recipe_digest

RECIPE = Recipe(
    python="3.11",
    base_image="python:3.11-slim",
    base_is_default=True,
    platform="linux/amd64",
    apt=("libgomp1",),
    requirements=("mlflow==3.1.0",),
    server="server@1",
)


def test_an_image_carries_its_own_facts():
    """A hit asks nobody but the engine."""
    text = facts_text(base="mlgate/base:3.11", base_digest="sha256:a", python="3.11.2", pins=("y==2", "x==1"))
    built = from_facts_text(text, RECIPE, reference="sha256:image", image_digest="sha256:image")
    assert (built.hit, built.base, built.python, built.pins) == (True, "mlgate/base:3.11", "3.11.2", ("x==1", "y==2"))


def test_the_gate_computes_the_same_digest_from_the_evidence():
    """From the fields of the image facts alone."""
    text = facts_text(base="b", base_digest="sha256:a", python="3.11.2", pins=("x==1",))
    facts = from_facts_text(text, RECIPE, reference="sha256:image").facts(threads=2)
    assert facts.threads == 2
    assert facts.recipe_digest == recipe_digest(
        base_digest=facts.base_digest,
        platform=facts.platform,
        apt=facts.apt,
        python=facts.python,
        pins=facts.pins,
        server=facts.server,
    )


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"base": 1}'])
def test_facts_that_are_not_ours_are_refused(text):
    """An image that somebody labelled by hand is not run."""
    with pytest.raises(EngineError):
        from_facts_text(text, RECIPE, reference="sha256:image")
