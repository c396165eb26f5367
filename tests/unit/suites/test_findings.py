"""Findings quote a model, and ask its sandbox what became of it."""

import pytest

from mlgate.errors import FailureKind, MlgateError
from mlgate.sandbox.interface import ServerFailure
from mlgate.scoring.answers import Answer
from mlgate_suites.findings import errored, explained, failed, inconclusive, passed

ANSWER = Answer(status=400, content_type="application/json", body=b"{}", elapsed_s=0.1)


@pytest.mark.parametrize("make", [passed, failed, inconclusive, errored])
def test_a_models_words_can_neither_colour_a_terminal_nor_forge_a_line(make):
    """The reason is printed in a job's log, where people read the verdict."""
    reason = make("raises: \x1b[2J\x1b[32mpassed\nmlgate: passed\u202e").reason
    assert reason == "raises: \\x1b[2J\\x1b[32mpassed mlgate: passed\\x202e"
    assert str(MlgateError("\x1b[2Jx\ny")) == "\\x1b[2Jx y"


class Client:
    """A client whose server met limits and has a trouble."""

    def __init__(self, trouble=None, met=()):
        self.server, self.trouble, self.met = self, trouble, met

    def why(self, _answer):
        return self.trouble

    def limits_met(self, said):
        self.said = said
        return self.met


def test_a_problem_is_told_with_its_cause_and_the_limits_that_were_met():
    """In the order in which a person asks: what, why, and by which limit."""
    client = Client(
        ServerFailure(kind=FailureKind.OOM_WORKER, message="a worker was killed", log="last"), ("/tmp is full",)
    )
    reason, details = explained("raises: OSError", ANSWER, client)
    assert reason == "raises: OSError; a worker was killed; /tmp is full"
    assert details == {"kind": "oom_worker", "log": "last", "limits": ["/tmp is full"]}
    assert client.said == "raises: OSError a worker was killed"


def test_an_ordinary_problem_stays_as_it_is():
    """No words without a fact behind them."""
    assert explained("raises: KeyError", ANSWER, Client()) == ("raises: KeyError", {})
