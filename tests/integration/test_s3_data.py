"""Evaluation data in S3: a local server of the protocol, and every way in which it can not be read."""

import contextlib
import os
import socket
import threading
import time
from dataclasses import dataclass

import pandas as pd
import pytest
import requests

from mlgate.artifacts.signature import Column, ColumnSchema, DataType
from mlgate.errors import DataError
from mlgate.evaluation import object_store
from mlgate.evaluation.data import load_data
from mlgate.policy import Accuracy

INPUTS = ColumnSchema((Column("x", DataType.DOUBLE, True),))
SECRET = "s3cr3t-of-the-host"
KEY_ID = "AKIAOFTHEHOST"
TOKEN = "t0ken-of-the-host"


@dataclass(frozen=True, kw_only=True)
class Store:
    """A server, and a client of another make to fill it with."""

    url: str
    client: object

    def put(self, bucket, key, body):
        self.client.put_object(Bucket=bucket, Key=key, Body=body)


@pytest.fixture(scope="module")
def server():
    """The S3 of moto, over HTTP."""
    import boto3
    from moto.server import ThreadedMotoServer

    running = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    url = f"http://{host}:{port}"
    client = boto3.client(
        "s3", endpoint_url=url, aws_access_key_id=KEY_ID, aws_secret_access_key=SECRET, region_name="us-east-1"
    )
    yield Store(url=url, client=client)
    running.stop()


@pytest.fixture
def store(server, monkeypatch):
    """The server with an empty bucket, and the variables that lead to it."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY_ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_SESSION_TOKEN", TOKEN)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    requests.post(f"{server.url}/moto-api/reset", timeout=10)
    server.client.create_bucket(Bucket="data")
    return server


def load(tmp_path, source):
    """Read with label y and key id."""
    metrics = {"accuracy": {"min": 0.5}}
    accuracy = Accuracy.model_validate({"data": source, "label": "y", "key": "id", "metrics": metrics})
    return load_data(accuracy, INPUTS, folder=tmp_path)


def frame(start=0, n=3):
    """Rows from *start*."""
    rows = range(start, start + n)
    return pd.DataFrame({"id": rows, "x": [float(row) for row in rows], "y": ["a" if row % 2 else "b" for row in rows]})


def written(tmp_path, kind, start=0, n=3):
    """The bytes of such a file."""
    path = tmp_path / f"t.{kind}"
    match kind:
        case "csv":
            frame(start, n).to_csv(path, index=False)
        case "parquet":
            frame(start, n).to_parquet(path)
        case _:
            frame(start, n).to_feather(path)
    return path.read_bytes()


@pytest.mark.parametrize("kind", ["csv", "parquet", "feather"])
def test_a_key_is_read_as_the_same_file_here(store, tmp_path, kind):
    """Same digest, same rows, same truth."""
    raw = written(tmp_path, kind, n=40_000)
    store.put("data", f"holdout/one.{kind}", raw)
    there, here = load(tmp_path, f"s3://data/holdout/one.{kind}"), load(tmp_path, f"t.{kind}")
    assert there.source == f"s3://data/holdout/one.{kind}"
    assert there.digest == here.digest
    assert there.labels == here.labels
    assert list(there.keys) == list(here.keys)
    assert list(there.batches()) == list(here.batches())


@pytest.mark.parametrize(
    ("source", "keys"),
    [
        ("s3://data/parts", [0, 1, 2, 3, 4, 5]),
        ("s3://data/parts/", [0, 1, 2, 3, 4, 5]),
        ("s3://data/parts/a*.csv", [0, 1, 2]),
        ("s3://data/parts/**/*.csv", [0, 1, 2, 3, 4, 5]),
        ("s3://data/p*/year=2024/b.csv", [3, 4, 5]),
        ("s3://data", [0, 1, 2, 3, 4, 5]),
    ],
)
def test_prefixes_and_globs_are_read_in_the_order_of_their_keys(store, tmp_path, source, keys):
    """Markers and other kinds are no data."""
    store.put("data", "parts/year=2024/b.csv", written(tmp_path, "csv", 3))
    store.put("data", "parts/a.csv", written(tmp_path, "csv", 0))
    store.put("data", "parts/_SUCCESS", b"")
    store.put("data", "parts/readme.md", b"x")
    assert list(load(tmp_path, source).keys) == list(map(str, keys))


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_key_that_is_written_anew_between_the_passes_is_an_error(store, tmp_path, kind):
    """Also within the second that a store's clock has."""
    store.put("data", f"h.{kind}", written(tmp_path, kind))
    data = load(tmp_path, f"s3://data/h.{kind}")
    size, tag, _ = data.features.tables[0].file.stamp
    assert (size, bool(tag)) == (len(written(tmp_path, kind)), True)
    store.put("data", f"h.{kind}", written(tmp_path, kind, start=5))
    with pytest.raises(DataError, match=rf"^s3://data/h\.{kind}: changed while it was read"):
        list(data.batches())


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("s3://nobody/h.csv", "s3://nobody/h.csv: there is no bucket 'nobody'. Hint: is AWS_ENDPOINT_URL right?"),
        ("s3://nobody/*.csv", "there is no bucket 'nobody'"),
        ("s3://data/none.csv", "s3://data/none.csv: no such key in the bucket. Hint: a prefix ends at a '/'"),
        ("s3://data/none/*.csv", r"s3://data/none/\*.csv: no .parquet, .* file there"),
        ("s3://data/h.txt", "s3://data/h.txt: unknown kind"),
        ("s3:///h.csv", "names no bucket"),
        ("s3://*/h.csv", "names no bucket"),
        ("s3://data/broken.parquet", "s3://data/broken.parquet: can not be read"),
    ],
)
def test_what_is_not_there_is_named(store, tmp_path, source, says):
    """In one line, with its address."""
    store.put("data", "h.txt", b"x")
    store.put("data", "broken.parquet", b"PAR1 and no more")
    with pytest.raises(DataError, match=says) as caught:
        load(tmp_path, source)
    assert "\n" not in str(caught.value)


def test_without_credentials_it_says_which_variables_are_missing(store, tmp_path, monkeypatch):
    """The bucket is not public."""
    store.put("data", "h.csv", written(tmp_path, "csv"))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))  # no profile of this machine's
    with pytest.raises(
        DataError, match=r"access denied, and AWS_ACCESS_KEY_ID is not set. Hint: set AWS_ACCESS_KEY_ID and"
    ):
        load(tmp_path, "s3://data/h.csv")


@contextlib.contextmanager
def authenticating(store):
    """Let the server check who asks."""
    requests.post(f"{store.url}/moto-api/reset-auth", data=b"0", timeout=10)
    try:
        yield
    finally:
        requests.post(f"{store.url}/moto-api/reset-auth", data=b"inf", timeout=10)


@pytest.mark.parametrize("source", ["s3://data/h.csv", "s3://data/*.csv"])
def test_wrong_credentials_are_denied_without_being_shown(store, tmp_path, source):
    """Neither key id nor secret, also where the server repeats them."""
    store.put("data", "h.csv", written(tmp_path, "csv"))
    with authenticating(store), pytest.raises(DataError, match="access denied") as caught:
        load(tmp_path, source)
    told = "".join(str(error) for error in (caught.value, caught.value.__cause__))
    assert not [secret for secret in (SECRET, KEY_ID, TOKEN) if secret in told]


def test_access_that_ends_between_the_passes_is_named(store, tmp_path):
    """A token that has expired by the time the champion is asked."""
    store.put("data", "h.csv", written(tmp_path, "csv"))
    data = load(tmp_path, "s3://data/h.csv")
    with authenticating(store), pytest.raises(DataError, match=r"s3://data/h\.csv: access denied"):
        list(data.batches())


def test_a_key_that_is_gone_by_the_second_pass_is_named(store, tmp_path):
    """And not taken for an end of the data."""
    store.put("data", "h.csv", written(tmp_path, "csv"))
    data = load(tmp_path, "s3://data/h.csv")
    store.client.delete_object(Bucket="data", Key="h.csv")
    with pytest.raises(DataError, match=r"s3://data/h\.csv: no such key in the bucket"):
        list(data.batches())


@pytest.fixture
def silent():
    """A server that takes every request and answers none."""
    listener = socket.create_server(("127.0.0.1", 0))
    taken = []

    def take():
        with contextlib.suppress(OSError):
            while True:
                taken.append(listener.accept()[0])

    threading.Thread(target=take, daemon=True).start()
    yield listener.getsockname()[1]
    listener.close()
    for connection in taken:
        connection.close()


def test_an_endpoint_that_never_answers_is_told_in_bounded_time(store, tmp_path, silent, monkeypatch):
    """By its address; three attempts of one second here, of ten in a run."""
    monkeypatch.setattr(object_store, "REQUEST_TIMEOUT_S", 1.0)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent}")
    began = time.monotonic()
    with pytest.raises(DataError, match=rf"http://127.0.0.1:{silent} does not answer. Hint: is AWS_ENDPOINT_URL right"):
        load(tmp_path, "s3://data/h.csv")
    assert time.monotonic() - began < 60


def test_an_endpoint_where_nobody_listens_is_told(store, tmp_path, monkeypatch):
    """A server that was not started."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    with pytest.raises(DataError, match="does not answer"):
        load(tmp_path, "s3://data/h.csv")


def test_the_endpoint_of_s3_goes_before_that_of_all_services(store, tmp_path, monkeypatch):
    """As AWS's own tools have it."""
    store.put("data", "h.csv", written(tmp_path, "csv"))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", store.url)
    assert len(load(tmp_path, "s3://data/h.csv")) == 3


@pytest.mark.parametrize("address", [f"http://me:{SECRET}@127.0.0.1:9000", "127.0.0.1:9000", "http://[::1", "ftp://x"])
def test_an_endpoint_that_is_no_address_is_refused_without_showing_it(store, tmp_path, monkeypatch, address):
    """It may hold a password."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", address)
    with pytest.raises(DataError, match="AWS_ENDPOINT_URL is no address") as caught:
        load(tmp_path, "s3://data/h.csv")
    assert SECRET not in str(caught.value)


def test_nothing_of_the_credentials_is_kept_in_the_data(store, tmp_path):
    """What is handed on can be shown, stored and sent to another process."""
    import pickle

    store.put("data", "h.csv", written(tmp_path, "csv"))
    data = load(tmp_path, "s3://data/h.csv")
    shown = repr(data).encode() + pickle.dumps(data.features)
    assert not [secret for secret in (SECRET, KEY_ID, TOKEN) if secret.encode() in shown]
    assert len(pickle.loads(pickle.dumps(data.features)).columns) == 1


def test_the_credentials_reach_nothing_that_a_run_starts(store, tmp_path):
    """Neither a model's server, nor the installation of its environment, nor the load generator."""
    from mlgate.images.environment import EnvironmentBuilder
    from mlgate.images.uv import index_settings
    from mlgate.load import process
    from mlgate.sandbox.limits import ServerLimits
    from mlgate.sandbox.readiness import server_environment

    handed_on = [
        server_environment(ServerLimits()),
        index_settings(os.environ),
        vars(EnvironmentBuilder(environ={**os.environ, "MLGATE_CACHE": str(tmp_path)}))["_env"],
        process._environment(tmp_path),
    ]
    for environment in handed_on:
        assert not [name for name in environment if name.startswith("AWS_")]
        assert not {SECRET, KEY_ID, TOKEN} & set(environment.values())
