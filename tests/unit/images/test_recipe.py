import pytest

from mlgate.errors import InstallError, PolicyError
from mlgate.images.recipe import (
    DEFAULT_PYTHON,
    Recipe,
    recipe_digest,
    recipe_for,
    recipe_key,
    requirement_lines,
    server_identity,
    server_requirements,
    serving_source,
)

REFUSED = [
    "-e .",
    "-e git+https://example.org/x.git",
    "git+https://example.org/x.git@main",
    "x @ git+https://example.org/x.git",
    "https://example.org/x-1.0.tar.gz",
    "x @ https://example.org/x-1.0.tar.gz",
    "x @ file:///tmp/x.whl",
    "./x-1.0-py3-none-any.whl",
    "code/x-1.0-py3-none-any.whl",
    "/tmp/x",
    "..",
    "-r other.txt",
    "-c constraints.txt",
    "--requirement=other.txt",
    "--index-url https://example.org/simple",
    "--extra-index-url=https://example.org/simple",
    "--find-links /tmp",
    "--pre",
    "-i https://example.org/simple",
    "numpy==1.0 --index-url https://example.org/simple",
    "numpy==1.0 --global-option=--evil",
    "numpy==1.0 \\",
    "numpy==${VERSION}",
    "numpy==1.0; rm -rf /",
    "numpy==1.0 && true",
]


def recipe(**changes) -> Recipe:
    values = {
        "requirements": ["mlflow==3.1.0", "numpy==2.0.0"],
        "python_version": "3.11.8",
        "flavors": ["sklearn", "python_function"],
        "base_image": None,
        "platform": "linux/amd64",
        "apt": None,
        "server": "server@1",
    }
    return recipe_for(**(values | changes))


@pytest.mark.parametrize("line", REFUSED)
def test_a_line_that_would_fetch_or_run_something_else_is_refused_by_name(line):
    """Only names and versions reach the installer."""
    with pytest.raises(InstallError) as caught:
        requirement_lines(["mlflow==3.1.0", line])
    assert "requirements.txt:2" in caught.value.message
    assert line.strip() in caught.value.message


def test_comments_and_blank_lines_are_dropped():
    """What is left is what was asked for."""
    lines = [
        "# all of it",
        "",
        "  mlflow==3.1.0  # the server",
        "\t",
        "pandas[performance]>=2,<3; python_version >= '3.9'",
    ]
    assert requirement_lines(lines) == ("mlflow==3.1.0", "pandas[performance]>=2,<3; python_version >= '3.9'")


def test_hashes_are_kept():
    """A hash only makes the installer stricter."""
    line = "six==1.16.0 --hash=sha256:8abb2f1d86890a2dfb989f9a77cfcfd3e47c2a354b01111771326f8aa26e0254"
    assert requirement_lines([line]) == (line,)


def test_a_version_without_mlflow_can_not_be_served():
    """It is the version that fails, with a line that says why."""
    with pytest.raises(InstallError, match="names no mlflow"):
        recipe(requirements=["numpy==2.0.0", "mlflow-extras==1.0"])


@pytest.mark.parametrize("name", ["mlflow", "MLflow", "mlflow-skinny", "mlflow_skinny", "mlflow[extras]"])
def test_mlflow_is_found_under_any_spelling(name):
    """Names are compared in their normal form."""
    assert recipe(requirements=[f"{name}>=2"]).requirements == (f"{name}>=2",)


def test_the_default_base_image_follows_the_python_of_the_version():
    """Only the minor version counts."""
    made = recipe(python_version="3.12.4")
    assert (made.python, made.base_image, made.base_is_default) == ("3.12", "python:3.12-slim", True)


def test_an_own_base_image_is_taken_as_it_is():
    """With the Python filled in, where it asks for that."""
    made = recipe(base_image="registry.example/base:{python}")
    assert (made.base_image, made.base_is_default) == ("registry.example/base:3.11", False)


def test_a_version_that_names_no_python_gets_the_same_on_every_host():
    """A constant, not this interpreter's."""
    assert recipe(python_version=None).python == DEFAULT_PYTHON


@pytest.mark.parametrize("version", ["2.7.18", "three", "", "4.0"])
def test_a_python_that_is_none_is_refused(version):
    """Only Python 3 can be served."""
    with pytest.raises(InstallError):
        recipe(python_version=version)


@pytest.mark.parametrize(
    ("flavors", "apt"), [(["lightgbm"], ("libgomp1",)), (["xgboost", "lightgbm"], ("libgomp1",)), (["sklearn"], ())]
)
def test_the_flavours_decide_the_default_packages(flavors, apt):
    """Boosted trees need the OpenMP runtime."""
    assert recipe(flavors=flavors).apt == apt


def test_packages_that_are_asked_for_replace_the_default():
    """An empty list means none."""
    assert recipe(flavors=["xgboost"], apt=[]).apt == ()
    assert recipe(apt=["zlib1g", "libgomp1"]).apt == ("libgomp1", "zlib1g")


@pytest.mark.parametrize("name", ["-oDpkg::Pre-Invoke=sh", "a b", "x;true", "../x", ""])
def test_a_package_name_that_is_none_is_refused(name):
    """It would be an option of apt, or of the shell."""
    with pytest.raises(PolicyError):
        recipe(apt=[name])


def test_the_key_ignores_the_order_of_the_requirements():
    """They mean the same."""
    there, back = recipe(), recipe(requirements=["numpy==2.0.0", "mlflow==3.1.0"])
    assert recipe_key(there, "sha256:a") == recipe_key(back, "sha256:a")


@pytest.mark.parametrize(
    "changes",
    [
        {"requirements": ["mlflow==3.1.0", "numpy==2.0.1"]},
        {"python_version": "3.12"},
        {"platform": "linux/arm64"},
        {"apt": ["libgomp1"]},
        {"server": "server@2"},
    ],
)
def test_the_key_changes_with_whatever_changes_the_image(changes):
    """A cache that mixes two recipes serves the wrong model."""
    assert recipe_key(recipe(**changes), "sha256:a") != recipe_key(recipe(), "sha256:a")
    assert recipe_key(recipe(), "sha256:b") != recipe_key(recipe(), "sha256:a")


def test_the_digest_changes_with_every_fact_and_not_with_order():
    """The gate computes it again from the evidence."""
    facts = {
        "base_digest": "sha256:a",
        "platform": "linux/amd64",
        "apt": ["a", "b"],
        "python": "3.11.8",
        "pins": ["x==1", "y==2"],
        "server": "s",
    }
    digest = recipe_digest(**facts)
    assert recipe_digest(**(facts | {"apt": ["b", "a"], "pins": ["y==2", "x==1"]})) == digest
    changed = {
        "base_digest": "sha256:b",
        "platform": "p",
        "apt": ["a"],
        "python": "3.11.9",
        "pins": ["x==1"],
        "server": "t",
    }
    assert len({digest, *(recipe_digest(**(facts | {name: value})) for name, value in changed.items())}) == 7


def test_the_server_is_named_with_the_digest_of_its_source():
    """A change of the serving code is another image."""
    assert server_identity().startswith("mlflow+mlgate.serving@sha256:")
    assert {"__main__.py", "app.py"} <= serving_source().keys()


@pytest.mark.parametrize(
    ("line", "old"),
    [
        ("mlflow==2.15.1", True),
        ("mlflow<2.10", True),
        ("mlflow==2.9.*", True),
        ("mlflow==3.17.2", False),
        ("mlflow", False),
        ("mlflow>=2,<4", False),
    ],
)
def test_an_old_mlflow_gets_what_it_takes_for_granted(line, old):
    """It imports pkg_resources and does not ask for it."""
    assert ("setuptools<81" in server_requirements([line, "numpy==1.26.4"])) == old
