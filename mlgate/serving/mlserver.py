"""MLServer's own REST app over one MLflow model. The data plane, its routes and its codecs are MLServer's, unmodified."""

import asyncio
import json
from collections.abc import Coroutine
from typing import Any, NamedTuple

from mlflow.exceptions import MlflowException
from mlserver.batching import load_batching
from mlserver.errors import InferenceError
from mlserver.handlers import DataPlane, ModelRepositoryHandlers
from mlserver.model import MLModel
from mlserver.registry import MultiModelRegistry
from mlserver.repository.factory import ModelRepositoryFactory
from mlserver.rest import RESTServer
from mlserver.settings import ModelParameters, ModelSettings, Settings
from mlserver.types import InferenceRequest, InferenceResponse
from mlserver_mlflow import MLflowRuntime

from .v2_request import InputSpec, example_values, request

MODEL_NAME = "model"
PATH = f"/v2/models/{MODEL_NAME}/infer"


class Runtime(MLflowRuntime):  # type: ignore[misc]  # mlserver's types are not here where this is checked
    """MLServer's MLflow runtime, off the event loop, and with a refusal where it has a crash.

    A valid request is answered as by `mlserver_mlflow.MLflowRuntime`. That one predicts in a second process
    (`parallel_workers: 1`), so that probes are answered meanwhile; a thread does the same for one interpreter's memory and
    start. And it answers 500 to a request that does not decode or that MLflow's schema refuses, where its own `/invocations`
    says 400: a caller could not tell a wrong request from a broken model.
    """

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Answer one request.

        Raises:
            InferenceError: The request does not decode, or MLflow refuses it: MLServer answers 400.
        """
        try:
            return await asyncio.to_thread(_finish, super().predict(payload))
        except MlflowException as error:
            raise InferenceError(error.message) from error

    def decode_request(self, inference_request: InferenceRequest, default_codec: Any = None) -> Any:
        """Decode as MLServer does; whatever goes wrong in that is the request's fault."""
        try:
            return super().decode_request(inference_request, default_codec)
        except Exception as error:
            raise InferenceError(f"the request does not decode: {type(error).__name__}: {error}") from error


def _finish(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine that awaits nothing, without an event loop."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    raise RuntimeError("predict of MLServer's MLflow runtime awaits something: this version is not supported")


class Loaded(NamedTuple):
    """A loaded model, and MLServer's FastAPI app over it."""

    model: Runtime
    app: Any


def load_model(path: str) -> Loaded:
    """Load the model in folder *path* as `mlserver start` does.

    gRPC, Kafka and MLServer's own metrics server stay off: without a network nothing could reach them.
    """
    # _env_file: a `.env` in the working directory is no part of what is tested.
    settings = Settings(_env_file=None, parallel_workers=0, metrics_endpoint=None, kafka_enabled=False)

    async def add_custom_handlers(model: MLModel) -> MLModel:
        return await rest.add_custom_handlers(model)

    # The two hooks of `mlserver.server.MLServer`, whose constructor would also open gRPC's port and take the signals.
    registry = MultiModelRegistry(on_model_load=[add_custom_handlers, load_batching])
    repository = ModelRepositoryFactory.resolve_model_repository(settings)
    rest: Any = RESTServer(settings, DataPlane(settings, registry), ModelRepositoryHandlers(repository, registry))
    parameters = ModelParameters(_env_file=None, uri=path)
    stated = ModelSettings(_env_file=None, name=MODEL_NAME, implementation=Runtime, parameters=parameters)
    model = asyncio.run(registry.load(stated))
    # MLServer hands its app to a uvicorn of its own only, and that one knows no unix sockets.
    return Loaded(model=model, app=rest._app)  # noqa: SLF001


def init(loaded: Loaded) -> Any:
    """Return the app that answers, as `mlflow.pyfunc.scoring_server.init` does."""
    return loaded.app


def example_request(loaded: Loaded, raw: bytes) -> bytes:
    """Return the V2 request for a logged `serving_input_example.json`, with the types that the loaded model states.

    Raises:
        ValueError: It is no example.
    """
    inputs = loaded.model.inputs or ()
    specs = {tensor.name: InputSpec(tensor.datatype, tensor.parameters.content_type) for tensor in inputs}
    kind, values = example_values(json.loads(raw), list(specs))
    stated = loaded.model.settings.parameters.content_type
    return json.dumps(request(stated or kind, specs, values)).encode()
