"""The report of a run on a given image: which one it was, and whether the version's model was found in it."""

from dataclasses import replace

from mlgate.report.html import render_html

REGISTRY_DIGEST = "sha256:" + "e" * 64


def given(evidence, **changes):
    """The evidence, of an image that was given."""
    return replace(evidence, image=replace(evidence.image, origin="given", threads=0, **changes))


def test_it_shows_what_a_cluster_pulls_and_the_model_that_was_found(examples):
    """And that nobody knows how many threads a stranger's server has."""
    good = examples["good"]()
    html = render_html(given(good, registry_digest=REGISTRY_DIGEST, model_digest=good.subject.artifact_digest))
    assert REGISTRY_DIGEST in html
    assert "Model in the image" in html
    assert "as the image has it" in html
    assert "NOT VERIFIED" not in html


def test_it_says_that_no_model_was_found(examples):
    """A pass of such a run admits nothing."""
    assert "given; NOT VERIFIED: no model was found in it" in render_html(given(examples["good"]()))


def test_a_built_image_is_shown_without_it(examples):
    """The usual report holds no lines about what does not apply."""
    html = render_html(examples["good"]())
    assert "Registry digest" not in html
    assert "Origin" not in html
