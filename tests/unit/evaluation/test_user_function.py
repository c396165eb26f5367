"""The user's function is imported from the policy's folder and from nowhere else."""

import sys
import uuid

import pytest

from mlgate.errors import PolicyError
from mlgate.evaluation.metric_names import Better
from mlgate.evaluation.user_function import load_function, load_metric

CODE = "def cost(truth, prediction):\n    return 1.0\n\nRATE = 3\n"


@pytest.fixture
def name():
    """A module name that nothing has imported before."""
    name = f"metrics_{uuid.uuid4().hex}"
    yield name
    for module in [module for module in sys.modules if module.split(".")[0] == name]:
        del sys.modules[module]


def test_a_module_beside_the_policy_is_found(tmp_path, name):
    """A file; the import path is as it was before."""
    (tmp_path / f"{name}.py").write_text(CODE)
    before = list(sys.path)
    assert load_function(f"{name}:cost", tmp_path)(None, None) == 1.0
    assert sys.path == before


def test_a_package_with_imports_of_its_own_is_found(tmp_path, name):
    """A package below the policy's folder, relative imports included."""
    package = tmp_path / name / "inner"
    package.mkdir(parents=True)
    (tmp_path / name / "__init__.py").write_text("")
    (package / "__init__.py").write_text("from .prices import cost\n")
    (package / "prices.py").write_text(CODE)
    assert load_function(f"{name}.inner:cost", tmp_path)(None, None) == 1.0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{}:price", "has no function price"),
        ("{}:RATE", "has no function RATE"),
        ("{}_missing:cost", "there is no"),
        ("{}", "not of the form"),
        ("../{}:cost", "not of the form"),
        ("{}:cost.inner", "not of the form"),
        ("json:loads", "there is no json.py"),
        ("os.path:join", "there is no os/path.py"),
    ],
)
def test_what_is_not_there_is_a_policy_error(tmp_path, name, text, words):
    """With the metric's name; an installed or built-in module is not there either."""
    (tmp_path / f"{name}.py").write_text(CODE)
    with pytest.raises(PolicyError, match=words) as caught:
        load_function(text.format(name), tmp_path)
    assert f"accuracy.metrics.{text.format(name)}" in str(caught.value)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import nowhere_to_be_found\n", "ModuleNotFoundError: No module named 'nowhere_to_be_found'"),
        ("def cost(truth, prediction:\n", "SyntaxError"),
        ("raise SystemExit(0)\n", "SystemExit"),
        ("1 / 0\n", "ZeroDivisionError"),
    ],
)
def test_a_module_that_can_not_be_imported_is_a_policy_error(tmp_path, name, code, words):
    """Its own words are kept, and it can not end the process."""
    (tmp_path / f"{name}.py").write_text(code)
    with pytest.raises(PolicyError, match=words):
        load_function(f"{name}:cost", tmp_path)


def test_a_module_in_the_model_directory_is_refused_and_not_run(tmp_path, name):
    """The model directory is a program: the host never runs it. By argument, and by its MLmodel file."""
    model = tmp_path / name
    model.mkdir()
    (model / "__init__.py").write_text("")
    (model / "code.py").write_text("raise AssertionError('the model was run')\n")
    with pytest.raises(PolicyError, match="lies in the model directory"):
        load_function(f"{name}.code:cost", tmp_path, model_directories=[model])
    (model / "MLmodel").write_text("flavors: {}\n")
    with pytest.raises(PolicyError, match="lies in the model directory"):
        load_function(f"{name}.code:cost", tmp_path)


def test_a_link_out_of_the_folder_is_refused_and_not_run(tmp_path, name):
    """What a link leads to is what is judged."""
    (tmp_path / "elsewhere.py").write_text("raise AssertionError('it was run')\n")
    folder = tmp_path / "policy"
    folder.mkdir()
    (folder / f"{name}.py").symlink_to(tmp_path / "elsewhere.py")
    with pytest.raises(PolicyError, match="leads out of the policy's folder"):
        load_function(f"{name}:cost", folder)


def test_a_name_that_is_taken_is_refused(tmp_path):
    """An imported module of the same name would answer instead of the user's file."""
    (tmp_path / "json.py").write_text(CODE)
    with pytest.raises(PolicyError, match="the name json is taken"):
        load_function("json:cost", tmp_path)


def test_a_function_of_another_form_is_a_policy_error(tmp_path, name):
    """What can be known before anything starts is said before; a good one is a metric."""
    (tmp_path / f"{name}.py").write_text(CODE + "\ndef other(y_true, y_pred):\n    return 1.0\n")
    with pytest.raises(PolicyError, match="it takes y_pred; after the truth there are prediction, score"):
        load_metric(f"{name}:other", tmp_path, better=Better.LESS, classification=True)
    found = load_metric(f"{name}:cost", tmp_path, better=Better.LESS, classification=True)
    assert found.facts.name == f"{name}:cost"
    assert found.facts.better is Better.LESS
