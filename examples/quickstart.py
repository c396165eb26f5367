"""Register a model to try mlgate on; then: mlgate test models:/churn/1."""

from importlib.metadata import version

import mlflow
import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

mlflow.set_tracking_uri("sqlite:///mlflow.db")
rng = np.random.default_rng(0)
x = pd.DataFrame({"age": rng.uniform(18, 90, 1000), "tenure": rng.uniform(0, 40, 1000)})
y = (0.05 * x["age"] - 0.1 * x["tenure"] + rng.normal(size=1000) > 1).astype(int)
model = LogisticRegression().fit(x, y)
mlflow.sklearn.log_model(
    model,
    name="model",
    signature=mlflow.models.infer_signature(x, model.predict(x)),
    input_example=x.head(2),
    pip_requirements=[f"{name}=={version(name)}" for name in ("mlflow", "scikit-learn", "skops", "numpy", "pandas")],
    registered_model_name="churn",
)
