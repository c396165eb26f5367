"""Reading a model directory as data."""

import hashlib
import os
import shutil

import pytest

from mlgate.artifacts.digest import files_digest
from mlgate.artifacts.directory import read_directory
from mlgate.artifacts.signature import Column, DataType
from mlgate.errors import ModelDirectoryError
from mlgate.evidence import FileEntry, canonical_digest


def refused(folder, words):
    with pytest.raises(ModelDirectoryError, match=words) as caught:
        read_directory(folder)
    assert "\n" not in str(caught.value)


def test_a_directory_is_read_whole(model):
    """Files, requirements as they stand, the example's bytes, the Python it was saved under."""
    found = read_directory(model)
    assert [file.path for file in found.files] == [
        "MLmodel",
        "code/mine.py",
        "model.pkl",
        "python_env.yaml",
        "requirements.txt",
        "serving_input_example.json",
    ]
    assert found.requirements == ("mlflow==3.17.2", "# why", "scikit-learn==1.5.0")
    assert found.serving_example.startswith(b'{"dataframe_split"')
    assert found.python_version == "3.11.4"
    assert not found.conda_only
    assert (found.mlmodel.model_id, found.mlmodel.run_id, found.mlmodel.mlflow_version) == ("m-0123", "abcd", "3.17.2")
    assert found.signature.inputs.columns == (Column("age", DataType.DOUBLE, True),)


def test_the_digest_is_over_the_sorted_list_of_files(model):
    """Anyone can compute it again from the evidence."""
    found = read_directory(model)
    entries = [
        {
            "path": path.relative_to(model).as_posix(),
            "size": path.stat().st_size,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        }
        for path in model.rglob("*")
        if path.is_file()
    ]
    assert found.digest == canonical_digest(sorted(entries, key=lambda entry: entry["path"]))
    assert found.digest == files_digest(tuple(reversed(found.files)))


def test_one_byte_changes_the_digest_and_mlflows_note_does_not(model):
    """`registered_model_meta` says through which URI it was downloaded."""
    before = read_directory(model).digest
    (model / "registered_model_meta").write_text("model_name: churn")
    assert read_directory(model).digest == before
    (model / "model.pkl").write_bytes(b"\x80\x04N/")
    assert read_directory(model).digest != before


def test_a_renamed_file_changes_the_digest():
    """The names count, not only the bytes."""
    one, other = (FileEntry(path=path, size=0, sha256="0") for path in "ab")
    assert files_digest([one]) != files_digest([other])


@pytest.mark.parametrize("target", ["/etc/hostname", "../outside", "model.pkl", "nowhere"])
def test_any_symbolic_link_is_refused(model, target):
    """Also one that stays inside: its target can change between digest and mount."""
    (model / "link").symlink_to(target)
    refused(model, "link is a symbolic link")


def test_a_linked_folder_is_refused(model, tmp_path):
    """It would bring files of elsewhere along."""
    (model / "data").symlink_to(tmp_path)
    refused(model, "data is a symbolic link")


def test_a_fifo_is_refused_and_not_waited_for(model):
    """Opening one for reading would block for ever."""
    os.mkfifo(model / "pipe")
    refused(model, "pipe is neither a file nor a folder")


def test_a_name_that_can_not_be_shown_is_refused(model):
    """It would break the report, or a terminal."""
    (model / "a\x1b[31m").write_text("")
    refused(model, "printable")
    (model / "a\x1b[31m").unlink()
    (model / os.fsdecode(b"\xff")).write_text("")
    refused(model, "printable")


def test_a_folder_without_mlmodel_is_no_model(tmp_path):
    """And one that does not exist neither."""
    refused(tmp_path, "no MLmodel")
    refused(tmp_path / "missing", "no MLmodel")


def test_a_conda_only_version_says_so(model):
    """The image builder has nothing to install from."""
    (model / "requirements.txt").unlink()
    (model / "conda.yaml").write_text("name: env\n")
    found = read_directory(model)
    assert (found.requirements, found.conda_only) == ((), True)


def test_the_python_version_comes_from_the_environment_file_where_mlmodel_has_none(model):
    """Old flavours write it there only."""
    text = (model / "MLmodel").read_text().replace("    python_version: 3.11.4\n", "")
    (model / "MLmodel").write_text(text)
    assert read_directory(model).python_version == "3.11.9"
    (model / "python_env.yaml").write_text("python: 3.10\n")
    assert read_directory(model).python_version == "3.10"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("a: &x [1]\nb: *x\n", "anchor or alias"),
        ("a: !!python/object/apply:os.system [id]\n", "YAML tag"),
        ("a: !!int 1\n", "YAML tag"),
        ("a: " + "[" * 60 + "]" * 60 + "\n", "nests deeper"),
        ("a: " + "[" * 200_000 + "\n", "nests deeper|plain YAML"),
        ("a: [\n", "not plain YAML"),
        ("a: \x00\n", "not plain YAML"),
        ("? [1]\n: 2\n", "not plain YAML|not a mapping"),
        ("1: 2\n", "not a mapping"),
        ("model_id: [1]\n", "model_id is not text"),
        ("saved_input_example_info: 3\n", "saved_input_example_info is not a mapping"),
        ("saved_input_example_info: {serving_input_path: ../../etc/passwd}\n", "serving_input_path names '../../etc"),
        ("saved_input_example_info: {artifact_path: /etc/passwd}\n", "artifact_path names '/etc"),
        ("flavors: {}\n", "flavors is missing"),
        ("flavors: {python_function: 1}\n", "flavors.python_function is not a mapping"),
        ("flavors: {sklearn: {pickled_model: ../outside}}\n", "flavors.sklearn.pickled_model names '../outside'"),
        ("flavors: {python_function: {code: /tmp/evil}}\n", "python_function.code"),
        ("flavors: {python_function: {env: {conda: ../c.yaml}}}\n", "env.conda"),
        ("flavors: {python_function: {env: [1]}}\n", "env is not a mapping"),
        ("flavors: {python_function: {python_version: '3.11; rm'}}\n", "not a Python version"),
    ],
)
def test_an_mlmodel_file_that_is_not_plain_data_is_refused(model, line, words):
    """In one line that names the place."""
    text = (model / "MLmodel").read_text()
    key = line.partition(":")[0]
    kept = "flavors: {a: {}}\n" if key != "flavors" else ""
    (model / "MLmodel").write_text(kept + line if key in text else text + line)
    refused(model, words)


def test_base_60_numbers_and_dates_stay_text(model):
    """YAML 1.1 would compute the one in quadratic time, and make an object of the other."""
    with (model / "MLmodel").open("a") as file:
        file.write(f"long: 1{':59' * 200_000}\nday: 2026-11-23\nhuge: {'9' * 100_000}\n")
    raw = read_directory(model).mlmodel.raw
    assert raw["day"] == "2026-11-23"
    assert isinstance(raw["long"], str)


def test_a_large_mlmodel_file_is_refused_and_a_large_signature_is_not(model):
    """5 000 columns are legitimate; nine megabytes are not."""
    columns = ", ".join(f'{{"type": "double", "name": "column_{n}", "required": true}}' for n in range(5000))
    text = (model / "MLmodel").read_text()
    a, b = text.index("  inputs:"), text.index("  outputs:")
    (model / "MLmodel").write_text(f"{text[:a]}  inputs: '[{columns}]'\n{text[b:]}")
    assert len(read_directory(model).signature.inputs.columns) == 5000
    (model / "MLmodel").write_text(text + f"x: {'y' * 9_000_000}\n")
    refused(model, "larger than|more than")


def test_what_mlflow_itself_saves_is_read(tmp_path):
    """A real pyfunc model of the installed MLflow."""
    import mlflow
    import pandas as pd

    class Doubling(mlflow.pyfunc.PythonModel):
        def predict(self, context, model_input, params=None):
            return model_input["x"] * 2

    frame = pd.DataFrame({"x": [1.0, 2.0]})
    mlflow.pyfunc.save_model(
        tmp_path / "m",
        python_model=Doubling(),
        signature=mlflow.models.infer_signature(frame, frame["x"]),
        input_example=frame,
        pip_requirements=["mlflow"],
        metadata={"team": "risk", "nested": {"a": [1, True, None, 1.5e-7]}},
    )
    found = read_directory(tmp_path / "m")
    assert found.requirements
    assert found.python_version.startswith("3.")
    assert b"dataframe_split" in found.serving_example
    assert found.signature.inputs.columns == (Column("x", DataType.DOUBLE, True),)
    shutil.copytree(tmp_path / "m", tmp_path / "again")
    assert read_directory(tmp_path / "again").digest == found.digest


def test_constraints_that_the_requirements_name_are_read_and_nothing_else(model):
    """A file of the directory, by its path; what lies outside of it is not opened, whoever names it."""
    (model / "requirements.txt").write_text("mlflow\n-c constraints.txt  # bounds\n-c ./a/b.txt\n-c ../outside.txt\n")
    (model / "constraints.txt").write_text("numpy<2\n# why\n")
    (model / "a").mkdir()
    (model / "a" / "b.txt").write_text("six<2")
    (model.parent / "outside.txt").write_text("pandas<2")
    found = read_directory(model)
    assert found.constraint_files == {"a/b.txt": ("six<2",), "constraints.txt": ("numpy<2", "# why")}


def test_constraints_that_are_no_text_are_refused(model):
    """As the requirements themselves."""
    (model / "requirements.txt").write_text("-c constraints.txt")
    (model / "constraints.txt").write_bytes(b"\xff\xfe")
    refused(model, "constraints.txt is not UTF-8")
