"""What a model server is asked, and how its answer is read: MLflow's scoring protocol, or V2. Pure."""

from typing import Any, Protocol

from mlgate.artifacts.signature import Signature, TensorSchema
from mlgate.scoring.answers import prediction_rows
from mlgate.scoring.payloads import JSON_TYPE, Batch, Encoding, bare_rows, encode, encode_inputs
from mlgate.scoring.v2 import V2


class ServingProtocol(Protocol):
    """How one model is spoken to."""

    @property
    def path(self) -> str:
        """Where requests go, with its leading slash."""

    @property
    def null_is_an_error(self) -> bool:
        """Whether any null in an answer stands for a number that is not finite."""

    def encode(self, batch: Batch, encoding: Encoding | None = None) -> tuple[bytes, str]:
        """Return body and content type of a request; values are never converted, so a wrong one arrives wrong.

        Raises:
            ValueError: A value that strict JSON does not have, or an encoding that this protocol has not.
        """

    def encode_example(self, raw: bytes) -> tuple[bytes, str]:
        """Return body and content type of the request for a logged `serving_input_example.json`.

        Raises:
            ValueError: It is none.
        """

    def rows(self, document: Any) -> list[Any]:
        """Return one prediction a row out of the answer's JSON.

        Raises:
            NotAPrediction: It holds none.
        """


class Invocations:
    """MLflow's scoring protocol: `POST /invocations`.

    Args:
        signature: The model's: a model with type hints takes its rows under `inputs` and nowhere else, and a tensor
            without axes travels once a request.
    """

    path = "/invocations"
    null_is_an_error = False  # NaN and infinity have tokens of their own here

    def __init__(self, signature: Signature | None = None) -> None:
        self._bare = signature is not None and signature.from_type_hint
        inputs = signature.inputs if signature is not None else None
        tensors = inputs.tensors if isinstance(inputs, TensorSchema) else ()
        self._single = frozenset(tensor.name for tensor in tensors if not tensor.shape)

    def encode(self, batch: Batch, encoding: Encoding | None = None) -> tuple[bytes, str]:
        """Return body and content type of a request."""
        if self._bare and encoding in {None, Encoding.INPUTS}:
            return encode_inputs(bare_rows(batch))
        if self._single and batch.rows and encoding in {None, Encoding.INPUTS}:
            first = batch.rows[0]
            return encode_inputs({name: first[name] if name in self._single else batch.column(name) for name in first})
        return encode(batch, encoding)

    def encode_example(self, raw: bytes) -> tuple[bytes, str]:
        """Return the example as it was logged."""
        return raw, JSON_TYPE

    def rows(self, document: Any) -> list[Any]:
        """Return one prediction a row."""
        return prediction_rows(document)


def protocol_of(server: str, signature: Signature) -> ServingProtocol:
    """Return how a model with *signature* is spoken to.

    Args:
        server: `mlflow` or `mlserver`, or a server's identity that starts with it.
        signature: The model's.
    """
    return V2(signature) if server.partition("+")[0] == "mlserver" else Invocations(signature)
