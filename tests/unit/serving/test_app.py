import asyncio
import json

import pytest

from mlgate.serving.app import UnsupportedServer, call, wrap


async def inner(scope, receive, send):
    """An app that answers with what it got, or fails on demand."""
    body = (await receive()).get("body", b"")
    if body == b"raise":
        raise RuntimeError("no")
    status = int(body) if body.isdigit() else 200
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": scope["path"].encode() + b" " + body})


class App:
    """`inner` as an object, as FastAPI is one."""

    async def __call__(self, scope, receive, send):
        """Answer."""
        await inner(scope, receive, send)


def ask(app, path, body=b""):
    return asyncio.run(call(app, path, body))


def counts(app):
    lines = ask(app, "/metrics")[1].decode().splitlines()
    return {line.partition(" ")[0]: float(line.partition(" ")[2]) for line in lines if line.startswith("mlgate_")}


def test_mlflows_own_paths_are_mlflows():
    """Nothing of them changes."""
    app = wrap(App())
    for path in ("/invocations", "/ping", "/version", "/anything"):
        assert ask(app, path, b"x") == (200, f"{path} x".encode())


def test_readiness_says_no_until_it_is():
    """With the state, and the boot facts."""
    app = wrap(App(), boot=lambda: {"phases": {"load": 1.0}})
    app.ready, app.state = False, "warming up"
    status, body = ask(app, "/ready")
    assert (status, json.loads(body)) == (503, {"phases": {"load": 1.0}, "state": "warming up"})
    app.ready, app.state = True, "ready"
    assert ask(app, "/ready")[0] == 200


def test_every_counter_exists_at_zero_from_the_start():
    """A rate over a series that is not there yet is no data."""
    found = counts(wrap(App()))
    for name in ("1xx", "2xx", "3xx", "4xx", "5xx"):
        assert found[f'mlgate_requests_total{{status="{name}"}}'] == 0
    assert found["mlgate_requests_in_flight"] == 0
    assert found["mlgate_request_duration_seconds_count"] == 0


def test_invocations_are_counted_by_class_and_probes_are_not():
    """An exception of the app counts as a server error."""
    app = wrap(App())
    for body in (b"200", b"204", b"400", b"503"):
        ask(app, "/invocations", body)
    with pytest.raises(RuntimeError):
        ask(app, "/invocations", b"raise")
    ask(app, "/ping")
    ask(app, "/ready")
    found = counts(app)
    assert [found[f'mlgate_requests_total{{status="{n}xx"}}'] for n in (2, 4, 5)] == [2, 1, 2]
    assert found["mlgate_request_duration_seconds_count"] == 5
    assert found["mlgate_requests_in_flight"] == 0


def test_two_apps_in_one_process_count_for_themselves():
    """Tests serve several models side by side."""
    first, second = wrap(App()), wrap(App())
    ask(first, "/invocations")
    assert counts(second)['mlgate_requests_total{status="2xx"}'] == 0


def test_predictions_run_on_no_more_threads_than_asked_for():
    """MLflow predicts in `asyncio.to_thread`."""
    import threading

    seen = set()

    class Threaded:
        """Notes its threads."""

        async def __call__(self, scope, receive, send):
            """Answer from a thread."""
            await asyncio.to_thread(lambda: seen.add(threading.current_thread().name))
            await inner(scope, receive, send)

    app = wrap(Threaded(), threads=2)

    async def many():
        await asyncio.gather(*(call(app, "/invocations", b"x") for _ in range(50)))

    asyncio.run(many())
    assert 1 <= len(seen) <= 2


def test_an_app_that_is_neither_asgi_nor_wsgi_is_refused():
    """With a line that names it."""
    with pytest.raises(UnsupportedServer, match="NoneType"):
        wrap(None)


def test_mlflows_own_app_is_served_as_it_is():
    """FastAPI, with a model in this process."""
    scoring_server = pytest.importorskip("mlflow.pyfunc.scoring_server")

    class Metadata:
        """What the server asks a model for."""

        def get_input_schema(self):
            """Return that there is none."""
            return

        def get_params_schema(self):
            """Return that there is none."""
            return

    class Model:
        """Adds one."""

        metadata = Metadata()

        def predict(self, data, params=None):
            """Answer."""
            return data + 1

    app = wrap(scoring_server.init(Model()))
    status, body = ask(app, "/invocations", b'{"inputs": [1, 2]}')
    assert (status, json.loads(body)) == (200, {"predictions": [2, 3]})


def test_what_is_counted_is_where_predictions_are_asked_for():
    """MLServer answers elsewhere than MLflow."""
    app = wrap(App(), path="/v2/models/model/infer")
    ask(app, "/v2/models/model/infer", b"x")
    ask(app, "/invocations", b"x")
    assert counts(app)['mlgate_requests_total{status="2xx"}'] == 1


def raising(*sent):
    """An app that sends messages and then raises."""

    class Raising:
        async def __call__(self, scope, receive, send):
            for message in sent:
                await send(message)
            raise RuntimeError("boom")

    return wrap(Raising())


def test_what_raises_after_its_whole_answer_keeps_the_connection(caplog):
    """Starlette answers 500 and raises; uvicorn would close the connection under the next request."""
    start = {"type": "http.response.start", "status": 500, "headers": []}
    app = raising(start, {"type": "http.response.body", "body": b"no"})
    assert ask(app, "/invocations") == (500, b"no")
    assert counts(app)['mlgate_requests_total{status="5xx"}'] == 1
    assert "RuntimeError: boom" in caplog.text
    for sent in ([], [start], [start, {"type": "http.response.body", "body": b"n", "more_body": True}]):
        with pytest.raises(RuntimeError, match="boom"):
            ask(raising(*sent), "/invocations")
