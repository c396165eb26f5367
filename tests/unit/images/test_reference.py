"""References of images: what docker takes, and what is refused before anything is built."""

import pytest

from mlgate.errors import ConfigError
from mlgate.images.push import check_pushable
from mlgate.images.reference import ImageReference


@pytest.mark.parametrize(
    ("text", "registry", "path", "tag"),
    [
        ("churn:3", None, "churn", "3"),
        ("team/churn:v3.1_rc-1", None, "team/churn", "v3.1_rc-1"),
        ("localhost/churn:3", "localhost", "churn", "3"),
        ("registry.example.com/team/churn:3", "registry.example.com", "team/churn", "3"),
        ("registry:5000/churn:latest", "registry:5000", "churn", "latest"),
        ("127.0.0.1:5000/a/b__c/d-e.f:3", "127.0.0.1:5000", "a/b__c/d-e.f", "3"),
        ("[::1]:5000/churn:3", "[::1]:5000", "churn", "3"),
    ],
)
def test_a_reference_is_read_as_docker_reads_it(text, registry, path, tag):
    """A dot, a port or localhost makes a registry of the first part; and it prints as it was given."""
    reference = ImageReference.parse(text)
    assert (reference.registry, reference.path, reference.tag) == (registry, path, tag)
    assert str(reference) == text
    assert reference.name == text.rpartition(":")[0]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("churn", "has no tag"),
        ("", "has no tag"),
        ("registry:5000/churn", "has no tag"),
        ("churn@sha256:" + "a" * 64, "names a digest"),
        ("Churn:3", "lower-case"),
        ("team//churn:3", "lower-case"),
        ("-churn:3", "lower-case"),
        ("churn_:3", "lower-case"),
        ("a b:3", "lower-case"),
        ("x" * 256 + ":3", "lower-case"),
        ("churn:-3", "a tag is"),
        ("churn:" + "3" * 129, "a tag is"),
        ("churn:3\n", "a tag is"),
        ("https://registry.example.com/churn:3", "is no host"),
        ("-.example.com/churn:3", "is no host"),
    ],
)
def test_anything_else_is_one_line_with_an_example(text, says):
    """Exit status 2, and the way to write it."""
    with pytest.raises(ConfigError, match=says) as caught:
        ImageReference.parse(text)
    assert caught.value.exit_code == 2
    assert "write it like" in str(caught.value) or "like registry" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["ci:t0ken@registry.example.com/churn:3", "https://ci:t0ken@registry.example.com/churn:3"]
)
def test_a_password_in_a_reference_is_refused_and_not_repeated(text):
    """It would be in every log."""
    with pytest.raises(ConfigError, match="docker login") as caught:
        ImageReference.parse(text)
    assert "t0ken" not in str(caught.value)


def test_a_push_needs_a_registry_in_the_name():
    """Docker would mean Docker Hub, without a word."""
    check_pushable(ImageReference.parse("registry.example.com/churn:3"))
    with pytest.raises(ConfigError, match="names no registry"):
        check_pushable(ImageReference.parse("team/churn:3"))
