"""A model whose requirements forget one package that it imports: it loads on its author's laptop only."""

import json
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from statsmodels.genmod.families.links import Logit


class NeedsStatsmodels(mlflow.pyfunc.PythonModel):  # type: ignore[misc]  # mlflow ships no types
    """Answers (-1, 2) probabilities."""

    def load_context(self, context: Any) -> None:
        """Read the weights."""
        self.weights = json.loads(Path(context.artifacts["weights"]).read_text())

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> Any:
        """Predict through statsmodels' link function."""
        weights = self.weights
        x = model_input[weights["columns"]].to_numpy(dtype=float, copy=True)
        z = (x - weights["mean"]) / weights["scale"] @ np.array(weights["coefficients"]) + weights["intercept"]
        p = Logit().inverse(z)
        return np.column_stack([1 - p, p])


mlflow.models.set_model(NeedsStatsmodels())
