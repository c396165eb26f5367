import pytest

MLMODEL = """\
flavors:
  python_function:
    env:
      conda: conda.yaml
      virtualenv: python_env.yaml
    loader_module: mlflow.sklearn
    model_path: model.pkl
    python_version: 3.11.4
model_id: m-0123
run_id: abcd
mlflow_version: 3.17.2
saved_input_example_info:
  artifact_path: input_example.json
  serving_input_path: serving_input_example.json
signature:
  inputs: '[{"type": "double", "name": "age", "required": true}]'
  outputs: null
  params: null
some_key_of_a_later_mlflow: {a: [1, 2.5, yes, null]}
"""


@pytest.fixture
def model(tmp_path):
    """A model directory as MLflow writes it."""
    folder = tmp_path / "model"
    (folder / "code").mkdir(parents=True)
    (folder / "MLmodel").write_text(MLMODEL)
    (folder / "model.pkl").write_bytes(b"\x80\x04N.")
    (folder / "code" / "mine.py").write_text("X = 1\n")
    (folder / "requirements.txt").write_text("mlflow==3.17.2\n# why\nscikit-learn==1.5.0\n")
    (folder / "python_env.yaml").write_text("python: 3.11.9\ndependencies:\n- -r requirements.txt\n")
    (folder / "serving_input_example.json").write_text('{"dataframe_split": {"columns": ["age"], "data": [[1.0]]}}')
    return folder
