from dataclasses import replace

import pytest

from mlgate.errors import InstallError, PolicyError
from mlgate.images.recipe import (
    DEFAULT_PYTHON,
    Recipe,
    foundation,
    recipe_digest,
    recipe_for,
    recipe_key,
    server_identity,
    server_requirements,
    serving_command,
    serving_source,
)


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


def test_the_foundation_holds_mlflow_and_nothing_else_of_a_versions():
    """Else one version could plant something in another's environment. Base, Python and server stay the same."""
    made = recipe(requirements=["numpy==2.0.0", "MLflow==3.17.2", "evil==1"], python_version="3.12.4")
    shared = foundation(made)
    assert shared == replace(made, requirements=("MLflow==3.17.2",))
    assert foundation(shared) == shared
    line = "evil @ https://example.org/evil.whl"
    assert foundation(recipe(requirements=["mlflow==3.17.2", line], allow=[line])).allowed == ()


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


@pytest.mark.parametrize("package", ["lightgbm==4.6.0", "xgboost", "XGBoost==2.1.4", "xgboost-cpu>=3"])
def test_a_pipeline_that_brings_boosted_trees_gets_them_too(package):
    """Its flavour is scikit-learn's or pyfunc's; the library is the same."""
    assert recipe(requirements=["mlflow", package]).apt == ("libgomp1",)


def test_packages_that_are_asked_for_replace_the_default():
    """An empty list means none."""
    assert recipe(flavors=["xgboost"], apt=[]).apt == ()
    assert recipe(apt=["zlib1g", "libgomp1"]).apt == ("libgomp1", "zlib1g")


@pytest.mark.parametrize("name", ["-oDpkg::Pre-Invoke=sh", "a b", "x;true", "../x", ""])
def test_a_package_name_that_is_none_is_refused(name):
    """It would be an option of apt, or of the shell."""
    with pytest.raises(PolicyError):
        recipe(apt=[name])


def test_the_python_that_the_version_names_is_kept():
    """Also where only its minor can be had."""
    assert recipe(python_version="3.11.8").python_asked == "3.11.8"
    assert recipe(python_version="3.11").python_asked == ""
    assert recipe(python_version=None).python_asked == ""


def test_the_patch_does_not_make_another_image_of_a_default_base_and_does_of_any_other():
    """The default bases hold one Python of each minor; a company's may hold several."""
    for base, same in ((None, True), ("corp/python:{python}", False)):
        keys = {
            recipe_key(recipe(python_version=version, base_image=base), "sha256:a") for version in ("3.11.7", "3.11.8")
        }
        assert (len(keys) == 1) == same


def test_an_allowed_mlflow_counts_as_one():
    """Whether it is named before or behind the URL."""
    for line in ("mlflow @ https://example.org/mlflow-3.whl", "git+https://example.org/mlflow.git#egg=mlflow"):
        assert recipe(requirements=[line], allow=[line]).allowed == (line,)


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
        {
            "requirements": ["mlflow==3.1.0", "numpy==2.0.0", "--pre"],
            "allow": ["--pre"],
        },
        {
            "requirements": ["mlflow==3.1.0", "numpy==2.0.0", "-c constraints.txt"],
            "constraint_files": {"constraints.txt": ["six<2"]},
        },
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


def test_each_server_has_an_identity_of_its_own():
    """Evidence of one server says nothing of the other."""
    assert server_identity("mlserver").startswith("mlserver+mlgate.serving@sha256:")
    assert server_identity("mlserver").partition("+")[2] == server_identity().partition("+")[2]


def test_mlserver_is_installed_where_it_is_the_server():
    """Beside what the wrapper needs, and by name or by identity."""
    plain = server_requirements(["mlflow==3.17.2"])
    assert not [line for line in plain if line.startswith("mlserver")]
    for server in ("mlserver", server_identity("mlserver")):
        more = server_requirements(["mlflow==3.17.2"], server=server)
        assert [line.partition(">")[0] for line in more[len(plain) :]] == ["mlserver", "mlserver-mlflow"]
        assert more[: len(plain)] == plain


def test_what_starts_the_server_names_it():
    """The same image, started by hand or by the sandbox, answers the same protocol."""
    assert serving_command(server_identity("mlserver")) == ["-m", "mlgate_serving", "--server", "mlserver"]
    assert serving_command(server_identity())[-1] == "mlflow"


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


@pytest.mark.parametrize(
    ("line", "bounded"),
    [
        ("mlflow==2.22.0", True),
        ("mlflow-skinny==3.10.1", True),
        ("mlflow<3", True),
        ("mlflow==2.19.0", False),
        ("mlflow==3.11.0", False),
        ("mlflow", False),
    ],
)
def test_an_mlflow_that_starlette_left_behind_gets_the_one_it_knows(line, bounded):
    """Its scoring app calls what starlette 1 removed, and asks for any starlette."""
    assert ("starlette<1" in server_requirements([line])) == bounded
