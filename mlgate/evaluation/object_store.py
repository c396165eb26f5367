"""S3 as a file system: endpoint and credentials from the usual AWS variables, and its failures in one line each.

Nothing that AWS answers is shown as it came: such a text may repeat a key id or a signed address.
"""

import os
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from mlgate.errors import DataError

SCHEME = "s3://"
# An endpoint that is not there is told in half a minute: three attempts of at most ten seconds.
CONNECT_TIMEOUT_S = 5.0
# On Linux, how long a connection may carry less than a byte a second.
REQUEST_TIMEOUT_S = 10.0
ATTEMPTS = 3

_CODE = re.compile(r"AWS Error ([A-Z0-9_]+)")
_STATUS = re.compile(r"HTTP status (\d{3})")
_DENIED = {
    "ACCESS_DENIED", "INVALID_ACCESS_KEY_ID", "SIGNATURE_DOES_NOT_MATCH", "INVALID_SIGNATURE", "EXPIRED_TOKEN",
    "MISSING_AUTHENTICATION_TOKEN", "INVALID_CLIENT_TOKEN_ID", "UNRECOGNIZED_CLIENT", "OPT_IN_REQUIRED",
    "INCOMPLETE_SIGNATURE", "REQUEST_EXPIRED", "REQUEST_TIME_TOO_SKEWED",
}  # fmt: skip


def file_system(environ: Mapping[str, str] | None = None) -> Any:
    """Return pyarrow's S3 file system for `AWS_ENDPOINT_URL[_S3]`, `AWS_REGION` and the credentials of *environ*.

    Credentials that are in no variable come from where AWS's own tools take them: a profile, the machine's role.

    Raises:
        DataError: The endpoint is no http(s) address.
    """
    from pyarrow import fs  # noqa: PLC0415 - heavy, and only where the data are in S3

    environ = os.environ if environ is None else environ
    return fs.S3FileSystem(
        access_key=environ.get("AWS_ACCESS_KEY_ID") or None,
        secret_key=environ.get("AWS_SECRET_ACCESS_KEY") or None,
        session_token=environ.get("AWS_SESSION_TOKEN") or None,
        connect_timeout=CONNECT_TIMEOUT_S,
        request_timeout=REQUEST_TIMEOUT_S,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=ATTEMPTS),
        tls_ca_file_path=environ.get("AWS_CA_BUNDLE") or None,
        **_place(environ),
    )


def _place(environ: Mapping[str, str]) -> dict[str, Any]:
    region = environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION")
    name = "AWS_ENDPOINT_URL_S3" if environ.get("AWS_ENDPOINT_URL_S3") else "AWS_ENDPOINT_URL"
    address = environ.get(name)
    if not address:
        return {"region": region} if region else {}
    try:
        parts = urlsplit(address)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.username
        _ = parts.port  # raises where it is no number
    except ValueError:
        usable = False
    if not usable:
        raise DataError(
            f"{name} is no address", hint="http://host:9000 or https://host; credentials go into AWS_ACCESS_KEY_ID"
        )
    # A server of one's own has no regions, and a signature needs the name of one.
    return {
        "scheme": parts.scheme,
        "endpoint_override": f"{parts.netloc}{parts.path.rstrip('/')}",
        "region": region or "us-east-1",
    }


def trouble(error: Exception, place: str, environ: Mapping[str, str] | None = None) -> DataError | None:
    """Return what S3's *error* at *place* means, in one line; `None` where the error is not S3's."""
    text = str(error)
    code, status = _CODE.search(text), _STATUS.search(text)
    if code is None:
        return DataError(f"{place}: no such key in the bucket") if isinstance(error, FileNotFoundError) else None
    environ = os.environ if environ is None else environ
    endpoint = environ.get("AWS_ENDPOINT_URL_S3") or environ.get("AWS_ENDPOINT_URL") or "AWS"
    name = code[1]
    if name == "NETWORK_CONNECTION" or "curlCode" in text:
        where = endpoint if urlsplit(endpoint).username is None else "the endpoint"
        return DataError(f"{place}: {where} does not answer", hint="is AWS_ENDPOINT_URL right?")
    if name in _DENIED or (status and status[1] in ("401", "403")):
        if not environ.get("AWS_ACCESS_KEY_ID"):
            return DataError(
                f"{place}: access denied, and AWS_ACCESS_KEY_ID is not set",
                hint="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
            )
        return DataError(
            f"{place}: access denied ({name})", hint="may these credentials read and list it? is AWS_REGION right?"
        )
    if name == "NO_SUCH_BUCKET":
        return no_bucket(place)
    if name in ("NO_SUCH_KEY", "RESOURCE_NOT_FOUND"):
        return DataError(f"{place}: no such key in the bucket")
    told = f"{name}, HTTP {status[1]}" if status else name
    return DataError(f"{place}: S3 answers {told}", hint="are AWS_ENDPOINT_URL and AWS_REGION right?")


def no_bucket(place: str) -> DataError:
    """Say that a bucket is not there."""
    bucket = place.removeprefix(SCHEME).partition("/")[0]
    return DataError(f"{place}: there is no bucket '{bucket}'", hint="is AWS_ENDPOINT_URL right?")
