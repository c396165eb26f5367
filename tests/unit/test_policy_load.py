"""The policy's section `load`: what it takes, what it refuses and why, and what it makes a run send."""

import json

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgate.errors import PolicyError
from mlgate.load.schedule import schedule_of
from mlgate.policy_file import json_schema, load_policy, parse_policy
from mlgate.policy_load import MAX_BATCH_ROWS, MAX_BATCH_SIZES, Load
from mlgate.statistics.shares import requests_needed


def load(text):
    """The section of a policy with *text* under `load`."""
    return parse_policy(f"load: {text}\n").values.load


def error_of(text):
    """The one line that a policy is refused with."""
    with pytest.raises(PolicyError) as caught:
        parse_policy(text)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_defaults_are_as_the_design_says():
    """Constant one-row requests, a tenth of the memory, twice the latency, one process, and nothing more."""
    section = load("{}")
    assert (section.shape, section.arrivals, section.batch, section.workers) == ("constant", "constant", 1, 1)
    assert (section.max_drift, section.max_ratio_to_champion, section.find_capacity) == (2.0, None, False)
    assert section.memory_growth(2**30) == round(2**30 / 10)
    assert load("{max_memory_growth: 5MiB}").memory_growth(2**30) == 5 * 2**20
    assert (section.locustfile, section.trace, section.files) == (None, None, ())


# Input, the line it stands on, the key, and what the message says of it.
BAD = {
    "misspelt profile": ("load:\n  profile: spkie\n", 2, "load.profile", "did you mean spike? there are constant, ramp, spike, soak, or {ramp:"),
    "unknown profile": ("load:\n  profile: 5\n", 2, "load.profile", "'5' is no profile; there are"),
    "trace without a file": ("load:\n  profile: trace\n", 2, "load.profile", "needs its file: {trace: arrivals.csv}"),
    "unknown section": ("load:\n  profile:\n    rampp: {}\n", 3, "load.profile.rampp", "did you mean ramp? keys: ramp, spike, trace"),
    "unknown key of a ramp": ("load:\n  profile:\n    ramp:\n      form: 5/s\n", 4, "load.profile.ramp.form", "did you mean from?"),
    "no profile in the section": ("load:\n  profile: {}\n", 2, "load.profile: ", "names one of {ramp:"),
    "two profiles": ("load:\n  profile: {ramp: {}, spike: {}}\n", 2, "load.profile: ", "names one of {ramp:"),
    "a number for a ramp": ("load:\n  profile: {ramp: 5}\n", 2, "load.profile.ramp", "should be a section of keys, got 5"),
    "bare rate": ("load:\n  profile:\n    ramp:\n      from: 5\n", 4, "load.profile.ramp.from", "'5' has no unit"),
    "ramp from above": ("load:\n  rate: 10/s\n  profile:\n    ramp:\n      from: 30/s\n", 5, "load.profile.ramp.from", "30/s is above rate 10/s"),
    "spike that goes down": ("load:\n  profile:\n    spike:\n      to: 19/s\n", 4, "load.profile.spike.to", "19/s is not above rate 20/s"),
    "spike as long as the run": ("load:\n  profile:\n    spike:\n      length: 30s\n", 4, "load.profile.spike.length", "30 s is not shorter than the run of 30 s"),
    "short soak": ("load:\n  duration: 599s\n  profile: soak\n", 3, "load.profile", "needs at least 10 minutes, duration is 9 min 59 s: a leak has to have time to show"),
    "a run of years": ("load:\n  rate: 0.01/s\n  duration: 99999d\n", 3, "load.duration", "is 99 999 d; a run is 1 s to 7 d long"),
    "rate of a trace": ("load:\n  profile: {trace: a.csv}\n  rate: 5/s\n", 3, "load.rate", "it is the trace's own; leave it out"),
    "length of a trace": ("load:\n  duration: 50s\n  profile: {trace: a.csv}\n", 2, "load.duration", "it is the trace's own"),
    "no rows": ("load:\n  batch: 0\n", 2, "load.batch", "greater than or equal to 1"),
    "a batch that is a job": ("load:\n  batch: 10001\n", 2, "load.batch", "less than or equal to 10000"),
    "half a row": ("load:\n  batch: 1.5\n", 2, "load.batch", "got 1.5"),
    "range that falls": ("load:\n  batch: {min: 5, max: 3}\n", 2, "load.batch.min", "5 is above max 3"),
    "range without an end": ("load:\n  batch: {min: 5}\n", 2, "load.batch.max", "Field required"),
    "range and shares": ("load:\n  batch:\n    min: 1\n    max: 2\n    5: 10%\n", 5, "load.batch.5", "keys: min, max"),
    "shares below 100 %": ("load:\n  batch: {1: 90%, 100: 9%}\n", 2, "load.batch", "the shares sum to 99 %, not to 100 %"),
    "shares above 100 %": ("load:\n  batch: {1: 90%, 100: 11%}\n", 2, "load.batch", "the shares sum to 101 %"),
    "a share of no rows": ("load:\n  batch:\n    1: 90%\n    0: 10%\n", 4, "load.batch.0", "rows are no batch: 1 to 10 000 are"),
    "a share of too many": ("load:\n  batch:\n    1: 90%\n    10001: 10%\n", 4, "load.batch.10001", "rows are no batch"),
    "a share of none": ("load:\n  batch:\n    1: 100%\n    2: 0%\n", 4, "load.batch.2", "is never sent; leave it out"),
    "a bare share": ("load:\n  batch:\n    1: 90%\n    2: 0.1\n", 4, "load.batch.2", "'0.1' has no unit"),
    "a share of a word": ("load:\n  batch:\n    many: 100%\n", 3, "load.batch.many", "is no number of rows; write {1: 90%"),
    "no shares": ("load:\n  batch: {}\n", 2, "load.batch", "0 sizes; name 1 to 50"),
    "too many workers": ("load:\n  workers: 65\n", 2, "load.workers", "less than or equal to 64"),
    "drift that noise has": ("load:\n  max_drift: 1\n", 2, "load.max_drift", "greater than 1"),
    "no ratio": ("load:\n  max_ratio_to_champion: 0\n", 2, "load.max_ratio_to_champion", "greater than 0"),
    "too short for blocks": ("load:\n  rate: 100/s\n  duration: 9s\n  max_ratio_to_champion: 1.2\n", 4, "load.max_ratio_to_champion", "10 blocks a side need 10 s and 200 requests"),
    "too few for blocks": ("load:\n  rate: 19/s\n  duration: 10s\n  error_rate: 5%\n  max_ratio_to_champion: 1.2\n", 5, "load.max_ratio_to_champion", "19/s for 10 s sends 190"),
    "bare growth": ("load:\n  max_memory_growth: 5\n", 2, "load.max_memory_growth", "has no unit"),
    "more than a disk holds": ("load:\n  rate: 1000000/s\n  duration: 1d\n", 2, "load.rate", "a run has at most 100 000 000"),
    "locustfile without a file": ("load:\n  locustfile: {users: 3}\n", 2, "load.locustfile.file", "Field required"),
    "locustfile as text": ("load:\n  locustfile: a.py\n", 2, "load.locustfile", "should be a section of keys"),
    "no users": ("load:\n  locustfile: {file: a.py, users: 0}\n", 2, "load.locustfile.users", "greater than or equal to 1"),
    "ramp that n can not decide": ("load:\n  profile: ramp\n  rate: 2/s\n  p95: 1s\n", 4, "load.p95", "needs 59 clean requests, a ramp from 0.2/s to 2/s in 30 s sends 33"),
    "spike that n can not decide": ("load:\n  profile: {spike: {to: 4/s, length: 9s}}\n  rate: 1/s\n  p95: 1s\n", 4, "load.p95", "needs 59 clean requests, 1/s for 30 s with 4/s for 9 s of it sends 57"),
    "limit beyond the timeout": ("load:\n  p99: 11s\n", 2, "load.p99", "11 s is longer than runtime.request_timeout 10 s, when a request is given up"),
    "timeout of days": ("runtime:\n  request_timeout: 25h\n", 2, "runtime.request_timeout", "a request is given up after 24 h at the latest"),
    "timeout below the limit": ("runtime:\n  request_timeout: 2s\nload:\n  p95: 2001ms\n", 4, "load.p95", "is longer than runtime.request_timeout 2 s"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "line", "key", "says"), BAD.values(), ids=BAD)
def test_a_mistake_is_named_with_its_line_key_and_a_hint(text, line, key, says):
    """Whatever branch of a union it was tried as."""
    message = error_of(text)
    assert message.startswith(f"mlgate.yaml:{line}: {key}")
    assert says in message
    assert "Hint: " in message


def test_a_limit_up_to_the_timeout_stands_and_where_nobody_judges_it_any_does():
    """A request that takes as long as the limit is answered; a locustfile has its own timeouts."""
    parse_policy("runtime: {request_timeout: 2s}\nload: {p95: 2s, p99: 2s}\n")
    parse_policy("requires: [schema]\nruntime: {request_timeout: 100ms}\n")
    parse_policy("load: {p95: 11s, locustfile: {file: a.py}}\n")


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        ("profile", "constant", "when requests leave is decided in your file"),
        ("arrivals", "poisson", "when requests leave is decided in your file"),
        ("batch", "5", "what is sent is decided in your file"),
        ("workers", "2", "runs in one process"),
        ("find_capacity", "true", "needs requests that mlgate makes"),
        ("max_ratio_to_champion", "1.2", "sends that are known before the run"),
    ],
)
def test_what_a_locustfile_decides_can_not_stand_beside_it(key, value, why):
    """It would be accepted and have no effect; the line of the key says why."""
    message = error_of(f"load:\n  locustfile: {{file: a.py}}\n  {key}: {value}\n")
    assert message.startswith(f"mlgate.yaml:3: load.{key} can not stand with locustfile: ")
    assert why in message


def test_a_locustfile_has_users_and_no_number_of_requests():
    """How many it sends, only the run knows: no limit is refused for it beforehand."""
    section = load("{error_rate: 0.001%, locustfile: {file: a/b.py}}")
    assert (section.locustfile.users, section.locustfile.spawn_rate) == (20, 10.0)
    assert (section.requests, section.files) == (None, ("a/b.py",))


@pytest.mark.parametrize(
    ("text", "champion", "names"),
    [
        ("{}", True, ("p95_latency", "error_rate", "rate", "memory", "drift")),
        ("{p95: null, p99: 1s}", False, ("p99_latency", "error_rate", "rate", "memory", "drift")),
        ("{max_ratio_to_champion: 1.2}", False, ("p95_latency", "error_rate", "rate", "memory", "drift")),
        ("{max_ratio_to_champion: 1.2}", True, ("p95_latency", "error_rate", "rate", "memory", "drift", "regression")),
        ("{locustfile: {file: a.py}}", True, ("p95_latency", "error_rate", "rate", "memory", "drift")),
        ("{find_capacity: true}", True, ("p95_latency", "error_rate", "rate", "memory", "drift")),
    ],
)
def test_what_must_be_in_the_evidence(text, champion, names):
    """The regression with a champion and a limit only; the capacity never, since it is no judgement."""
    policy = parse_policy(f"load: {text}\n")
    assert policy.expected_checks(champion=champion)["load"] == tuple(f"load.{name}" for name in names)


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("constant", "constant"),
        ("ramp", "ramp"),
        ("{ramp: {}}", "ramp"),
        ("spike", "spike"),
        ("{spike: {length: 3s}}", "spike"),
        ("{trace: a.csv}", "trace"),
    ],
)
def test_a_profile_is_a_word_or_a_section(text, shape):
    """Both ways, for the parser and for the schema."""
    assert load(f"{{profile: {text}}}").shape == shape
    word = text if text.isalpha() else None
    jsonschema.validate({"load": {"profile": word or {"ramp": {"from": "5/s"}}}}, json_schema())


def test_a_word_has_the_numbers_of_its_section():
    """A ramp from a tenth, a spike of three times the rate for a sixth of the run."""
    assert load("{profile: ramp}") != load("{profile: {ramp: {from: 2/s}}}")
    assert load("{profile: ramp}").ramp_from == load("{profile: {ramp: {from: 2/s}}}").ramp_from == 2.0
    word, section = load("{profile: spike}"), load("{profile: {spike: {to: 60/s, length: 5s}}}")
    assert (word.spike_to, word.spike_length) == (section.spike_to, section.spike_length) == (60.0, 5.0)


def test_rows_per_request_are_a_number_a_range_or_shares():
    """All three, up to the largest batch and the most sizes."""
    assert load(f"{{batch: {MAX_BATCH_ROWS}}}").batch == MAX_BATCH_ROWS
    assert (load("{batch: {max: 50}}").batch.min, load("{batch: {min: 2, max: 2}}").batch.max) == (1, 2)
    assert load("{batch: {1: 33.3%, 5: 33.3%, 10000: 33.4%}}").batch == pytest.approx(
        {1: 0.333, 5: 0.333, 10000: 0.334}
    )
    shares = {str(size): "2%" for size in range(1, MAX_BATCH_SIZES + 1)}
    assert len(load(json.dumps({"batch": shares})).batch) == MAX_BATCH_SIZES
    assert "51 sizes" in error_of(json.dumps({"load": {"batch": {**shares, "51": "0.1%"}}}))
    for batch in (5, {"min": 1, "max": 9}, {"1": "90%", "5": "10%"}):
        jsonschema.validate({"load": {"batch": batch}}, json_schema())


@given(
    rate=st.floats(0.5, 300),
    duration=st.floats(1, 100),
    factor=st.floats(0.01, 1),
    profile=st.sampled_from(["constant", "ramp", "spike"]),
    poisson=st.booleans(),
)
def test_the_number_of_requests_is_that_of_the_schedule(tmp_path_factory, rate, duration, factor, profile, poisson):
    """What the policy decides by is what is sent, for every profile."""
    numbers = {
        "constant": "constant",
        "ramp": {"ramp": {"from": f"{rate * factor:f}/s"}},
        "spike": {"spike": {"to": f"{rate / factor + 1:f}/s", "length": f"{duration * factor / 2:f}s"}},
    }[profile]
    values = {"rate": f"{rate:f}/s", "duration": f"{duration:f}s", "profile": numbers, "p95": None}
    try:
        section = Load.model_validate({**values, "arrivals": "poisson" if poisson else "constant", "error_rate": "99%"})
    except ValueError:
        return
    assert len(schedule_of(section, 1, tmp_path_factory.getbasetemp())) == section.requests


@pytest.mark.parametrize("profile", ["constant", "{ramp: {from: 100/s}}"])
def test_a_limit_is_decidable_exactly_from_the_needed_requests_on(profile):
    """The same n for a profile as for a constant rate."""
    needed = requests_needed(0.05, 0.95)
    text = "load: {{duration: {}s, rate: 100/s, error_rate: 50%, profile: {}}}\n"
    with pytest.raises(PolicyError, match=f"needs {needed} clean requests"):
        parse_policy(text.format("1", profile).replace("100/s", f"{needed - 1}/s"))
    assert parse_policy(text.format("1", profile).replace("100/s", f"{needed}/s")).values.load.requests == needed


def trace_of(tmp_path, n, text="load: {profile: {trace: t.csv}}\n"):
    """A policy beside a trace with *n* arrivals, ten a second."""
    (tmp_path / "t.csv").write_text("seconds\n" + "".join(f"{place / 10}\n" for place in range(n)))
    (tmp_path / "mlgate.yaml").write_text(text)
    return tmp_path / "mlgate.yaml"


def test_a_trace_is_decided_when_its_file_is_read(tmp_path):
    """With the n that is needed, and where the policy names the file."""
    needed = requests_needed(0.01, 0.95)
    assert load_policy(trace_of(tmp_path, needed)).values.load.requests is None
    with pytest.raises(PolicyError) as caught:
        load_policy(trace_of(tmp_path, needed - 1, "load:\n  profile:\n    trace: t.csv\n"))
    message = str(caught.value)
    assert message.startswith(f"mlgate.yaml:3: load.error_rate can not be decided: 1 % at 95 % needs {needed} ")
    assert f"the trace t.csv sends {needed - 1}. Hint: record a longer trace" in message


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("load:\n  profile:\n    trace: gone.csv\n", "mlgate.yaml:3: gone.csv: can not be read (No such file"),
        ("load:\n  profile:\n    trace: bad.csv\n", "mlgate.yaml:3: bad.csv:2: 'x' is no"),
        ("load:\n  locustfile:\n    file: gone.py\n", "mlgate.yaml:3: load.locustfile.file: gone.py is no file"),
        ("load:\n  locustfile:\n    file: .\n", "mlgate.yaml:3: load.locustfile.file: . is no file"),
    ],
)
def test_a_file_that_is_not_there_is_named_before_the_run(tmp_path, text, says):
    """Relative to the policy, with the line that names it."""
    (tmp_path / "bad.csv").write_text("1\nx\n")
    (tmp_path / "mlgate.yaml").write_text(text)
    with pytest.raises(PolicyError) as caught:
        load_policy(tmp_path / "mlgate.yaml")
    assert str(caught.value).startswith(says)


def test_a_trace_of_years_is_no_run(tmp_path):
    """One line on another clock, and seconds would be counted until the memory is full."""
    path = trace_of(tmp_path, 300)
    (tmp_path / "t.csv").write_text("\n".join(map(str, [-1.6e9, *(40 + place / 10 for place in range(300))])))
    with pytest.raises(PolicyError, match="a run is 1 s to 7 d long"):
        load_policy(path)


def test_a_burst_of_less_than_a_second_is_no_run(tmp_path):
    """Its requests share one second's fate: they are one piece of evidence, however many they are."""
    path = trace_of(tmp_path, 300)
    (tmp_path / "t.csv").write_text("\n".join(str(place / 1000) for place in range(300)))
    with pytest.raises(PolicyError, match="a run is 1 s to 7 d long"):
        load_policy(path)


def test_the_bytes_of_the_trace_and_of_the_locustfile_are_in_the_digest(tmp_path):
    """They decide what is sent as much as a value does."""
    seen = [load_policy(trace_of(tmp_path, n)).digest for n in (300, 301, 300)]
    assert seen[0] == seen[2] != seen[1]
    (tmp_path / "mlgate.yaml").write_text("load: {locustfile: {file: own.py}}\n")
    own = []
    for text in ("a = 1\n", "a = 2\n"):
        (tmp_path / "own.py").write_text(text)
        own.append(load_policy(tmp_path / "mlgate.yaml").digest)
    assert len({*seen, *own}) == 4


@pytest.mark.parametrize(
    "text",
    [
        "{arrivals: poisson}",
        "{profile: ramp}",
        "{batch: 2}",
        "{batch: {min: 1, max: 2}}",
        "{batch: {1: 50%, 2: 50%}}",
        "{max_memory_growth: 1MiB}",
        "{max_drift: 3}",
        "{max_ratio_to_champion: 1.2}",
        "{workers: 2}",
        "{find_capacity: true}",
        "{locustfile: {file: nowhere.py}}",
    ],
)
def test_every_key_changes_the_digest(text):
    """Each decides what a run does; and the same share in other words is the same policy."""
    assert parse_policy(f"load: {text}\n").digest != parse_policy("").digest
    twice = [
        parse_policy(f"load: {{batch: {batch}}}\n").digest for batch in ("{1: 50%, 2: 50%}", "{2: 50.0%, 01: 50%}")
    ]
    assert twice[0] == twice[1]
