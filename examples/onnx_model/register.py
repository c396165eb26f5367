"""Register an ONNX model that a package ships: magika's, which tells the type of a file by its bytes.

Needs `pip install magika onnx`. Then, in this folder: mlgate test models:/file-type/1.
"""

from importlib.metadata import version
from pathlib import Path

import magika
import mlflow
import numpy as np
import onnx
from mlflow.models import ModelSignature
from mlflow.types.schema import Schema, TensorSpec

FILE = Path(magika.__file__).parent / "models" / "standard_v3_3" / "model.onnx"
HALF = 1024  # bytes from the start of a file, and as many from its end
PADDING = 256  # stands where a file is shorter
SIGNATURE = ModelSignature(
    inputs=Schema([TensorSpec(np.dtype("int32"), (-1, 2 * HALF), "bytes")]),
    outputs=Schema([TensorSpec(np.dtype("float32"), (-1, 214), "target_label")]),
)


def tokens(path: Path) -> list[int]:
    """Return what the model takes of a file: both its ends without white space, padded to the middle."""
    raw = path.read_bytes()
    start, end = raw[:4096].lstrip()[:HALF], raw[-4096:].rstrip()[-HALF:]
    return [*start, *[PADDING] * (2 * HALF - len(start) - len(end)), *end]


def what_to_log() -> dict:
    """Return the arguments of `mlflow.onnx.save_model` and `log_model`."""
    return {
        "onnx_model": onnx.load(FILE),
        "signature": SIGNATURE,
        "input_example": {"bytes": np.array([tokens(Path(__file__))], dtype="int32")},
        "pip_requirements": [
            f"{name}=={version(name)}" for name in ("mlflow", "onnx", "onnxruntime", "numpy", "pandas")
        ],
    }


if __name__ == "__main__":
    mlflow.set_tracking_uri("sqlite:///mlflow.db")
    mlflow.onnx.log_model(name="model", registered_model_name="file-type", **what_to_log())
