"""Small parts of the MLflow adapter that need no server."""

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from mlgate.errors import RegistryError
from mlgate.registry.mlflow import MlflowRegistry
from mlgate.registry.mlflow_http import bounded, in_short
from mlgate.registry.mlflow_lookup import _listed, pages


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ([], "no versions"),
        (["4"], "version 4"),
        (["3", "2", "1"], "versions 1 to 3"),
        (["5", "2", "1"], "versions 5, 2, 1"),
        ([str(n) for n in range(40, 0, -2)], "versions 40, 38, 36, 34, 32, 30, 28, 26, 24, 22, …"),
    ],
)
def test_versions_are_listed_in_few_words(numbers, words):
    """A range where none is missing."""
    assert _listed(numbers) == words


def test_a_list_that_does_not_end_is_refused():
    """A hostile server may page for ever."""

    class Page(list):
        token = "again"

    with pytest.raises(RegistryError, match="does not end"):
        list(pages(lambda token: Page([1])))


def test_the_adapter_is_loaded_without_mlflow():
    """The import takes seconds, and most commands never ask a registry."""
    code = "import sys, mlgate.registry.mlflow, mlgate.artifacts.cache; print('mlflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_the_address_comes_from_mlflows_own_variables(monkeypatch):
    """And shows no credentials."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://ann:s3cret@tracking/")
    monkeypatch.delenv("MLFLOW_REGISTRY_URI", raising=False)
    assert MlflowRegistry().uri == "http://tracking/"
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", "http://ann:s3cret@registry")
    assert MlflowRegistry().uri == "http://registry"
    assert MlflowRegistry("http://other").uri == "http://registry"
    assert MlflowRegistry("http://other", "http://mine").uri == "http://mine"


def test_bounds_nest_and_end(monkeypatch):
    """What the user set wins, and everything comes back with the last caller."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "77")
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", raising=False)
    before = dict(os.environ)
    with bounded():
        with bounded():
            pass
        assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "77"
        assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "2"
    assert dict(os.environ) == before


def test_a_page_is_read_once():
    """Until there is no token."""
    asked = []

    def call(token):
        asked.append(token)
        page = SimpleNamespace(token="2" if token is None else "")
        return type("Page", (list,), {"token": page.token})([token])

    assert list(pages(call)) == [None, "2"]
    assert asked == [None, "2"]


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            "API request failed with exception _HttpPool(host='h'): (Caused by ResponseError('too many 500 error responses'))",
            "HTTP 500, also when asked again",
        ),
        ("Names may only contain dashes (-).", "Names may only contain dashes (-)"),
        ("<urlopen error [Errno 111] Connection refused>", "Connection refused"),
        ("", "OSError"),
    ],
)
def test_what_a_client_says_is_told_in_few_words(said, told):
    """Which host and which retry policy is not what a reader needs; a sentence's end is the line's."""
    assert in_short(OSError(said)) == told
