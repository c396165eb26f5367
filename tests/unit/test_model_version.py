"""Model URIs and the version behind one."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgate.errors import UriError
from mlgate.model_version import ModelUri, ModelVersion, alias_name


def version(**changes):
    """A version of `churn`."""
    facts = {"uri": "models:/churn/3", "name": "churn", "version": "3", "model_id": None, "source_run_id": None}
    return ModelVersion(**{**facts, "location": "/tmp/x", **changes})


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("models:/churn/3", {"name": "churn", "version": "3"}),
        ("models:///churn/3", {"name": "churn", "version": "3"}),
        ("models:/my model/12", {"name": "my model", "version": "12"}),
        ("models:/churn@champion", {"name": "churn", "alias": "champion"}),
        ("models:/m-0a1b", {"model_id": "m-0a1b"}),
        ("runs:/abc/model", {"run_id": "abc", "path": "model"}),
        ("runs:/abc/a/b", {"run_id": "abc", "path": "a/b"}),
    ],
)
def test_each_form_names_a_version_in_its_own_way(text, parts):
    """And in no other way at the same time."""
    found = ModelUri.parse(text)
    named = {
        key: getattr(found, key) for key in ("name", "version", "alias", "model_id", "run_id", "path", "directory")
    }
    assert {key: value for key, value in named.items() if value is not None} == parts
    assert found.text == text


def test_a_folder_is_a_model_directory(tmp_path, monkeypatch):
    """Relative to where the command runs, and resolved once."""
    (tmp_path / "model").mkdir()
    monkeypatch.chdir(tmp_path)
    assert ModelUri.parse("model").directory == tmp_path / "model"


@pytest.mark.parametrize(
    "text",
    ["", "models:/", "models:/churn", "models:/churn/latest", "models:/churn/10000000000", "models:/churn/3/x", "models:/churn/3\n", "models:/a@b@c",
     "runs:/abc", "runs:/", "s3://bucket/model", "http://host/model", "no/such/folder", "~nobody-of-this-name/model",
     "x" * 5000],
)  # fmt: skip
def test_anything_else_is_refused_with_the_forms(text):
    """One line, whatever it is."""
    with pytest.raises(UriError, match="Hint: write models:/name/3") as caught:
        ModelUri.parse(text)
    assert caught.value.exit_code == 2


@given(st.text())
def test_no_text_makes_the_parser_raise_anything_else(text):
    """A URI comes from a command line."""
    with contextlib.suppress(UriError):
        assert ModelUri.parse(text).text == text


def test_only_a_registered_version_is_promotable():
    """A logged model, a run or a folder has no place for tags and aliases."""
    assert version().promotable
    assert not version(name=None, version=None, uri="models:/m-1").promotable


@pytest.mark.parametrize(
    ("changes", "label"),
    [
        ({}, "churn-3"),
        ({"name": None, "version": None, "uri": "models:/m-1"}, "m-1"),
        ({"name": None, "version": None, "uri": "/home/me/model"}, "home-me-model"),
        ({"name": None, "version": None, "uri": "/.."}, "model"),
    ],
)
def test_a_label_can_name_a_folder(changes, label):
    """No separator, no leading dot, never empty."""
    assert version(**changes).label == label


@pytest.mark.parametrize("text", ["models:/churn/01", "models:/churn/007"])
def test_a_version_has_one_name(text):
    """MLflow reads 01 as 1, and everything is on record under 1."""
    with pytest.raises(UriError, match="is not a model URI"):
        ModelUri.parse(text)


@pytest.mark.parametrize("text", ["champion", "blue-green_2", "Prüfung", "3", "vv1", "latest-1", "x" * 255])
def test_what_mlflow_takes_for_an_alias_is_one(text):
    """Its own rule: letters of any language, digits, _ and -."""
    assert alias_name(text) == text


@pytest.mark.parametrize("text", ["", "a b", "a/b", "@", "latest", "LATEST", "v3", "V12", "x" * 256, "a\n"])
def test_what_mlflow_does_not_take_for_an_alias_is_refused_in_one_short_line(text):
    """Before anything is asked of a registry."""
    with pytest.raises(UriError, match="is no alias") as caught:
        alias_name(text)
    assert len(str(caught.value)) < 250
    assert "\n" not in str(caught.value)
