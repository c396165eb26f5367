"""The request of no rows. Pure."""

import json

from mlgate.artifacts.signature import Signature, Tensor
from mlgate.scoring.payloads import JSON_TYPE, Batch
from mlgate.scoring.protocols import ServingProtocol
from mlgate.scoring.wrong_values import places


def no_rows(valid: Batch, signature: Signature, protocol: ServingProtocol) -> tuple[bytes, str]:
    """Return body and content type of a request of zero rows, with the columns or tensors that a valid one has.

    Args:
        valid: A valid row.
        signature: The model's.
        protocol: How it is spoken to.
    """
    if protocol.path != "/invocations":
        return _v2(protocol.encode(valid)[0]), JSON_TYPE
    if valid.columns is not None or not isinstance(valid.rows[0], dict):
        return protocol.encode(valid.take([]))
    empty: dict[str | None, list[object]] = {
        place.name: [] for place in places(signature.inputs) if isinstance(place, Tensor)
    }
    return json.dumps({"inputs": empty}).encode(), JSON_TYPE


def _v2(body: bytes) -> bytes:
    document = json.loads(body)
    for part in document["inputs"]:
        part["shape"], part["data"] = [0, *part["shape"][1:]], []
    return json.dumps(document).encode()
