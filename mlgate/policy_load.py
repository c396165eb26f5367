"""The section `load` of `mlgate.yaml`: what is sent, when, by how many processes, and what the answers must hold."""

import difflib
import re
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Discriminator, Field, Tag, WithJsonSchema, model_validator

from mlgate.load.blocks import MAX_RUN_S, MIN_BLOCK_REQUESTS, MIN_BLOCK_S, MIN_RUN_S, REGRESSION_BLOCKS
from mlgate.policy_section import Duration, Rate, Section, Share, Size
from mlgate.quantities import format_duration, format_number, format_share, parse_percent
from mlgate.statistics.shares import requests_needed

PROFILES = ("constant", "ramp", "spike", "soak")
_SHAPES = "{ramp: {from: 5/s}}, {spike: {to: 300/s, length: 10s}} or {trace: arrivals.csv}"
# A request with more rows is a job and no question; 10 000 rows of 50 numbers are 5 MB of JSON, the size at which
# MLflow's own front turned requests away for years (reference/performance-reliability-security.md A2).
MAX_BATCH_ROWS = 10_000
# Each size has bodies of its own, and 200 in all are kept (mlgate.load.requests): with 50 sizes, 4 of each.
MAX_BATCH_SIZES = 50
# A row of samples is 46 bytes: 100 million are 4.6 GB on disk.
MAX_REQUESTS = 100_000_000
# A leak shows as a slope over its noise: caches fill and allocators keep memory in the first minutes of any server.
MIN_SOAK_S = 600.0
# Where the policy names none: from where a ramp starts, how high and how long a spike is. As in the section's example.
RAMP_FROM, SPIKE_TO, SPIKE_LENGTH = 0.1, 3.0, 1 / 6
# From here on a run shows how memory and latency go on: an engine counts once a second, a slope needs sixteen readings
# after the first tenth of the run, and drift five seconds on either side.
MIN_TREND_S = 20.0
# Where the first third and the last are sent at the same rate: latency depends on it.
STEADY = ("constant", "spike", "soak")
# Of `runtime.memory`. What a server may gain over a run before it is taken to leak.
MEMORY_GROWTH_SHARE = 0.1

# Key to the reason why it stands without `locustfile`.
_NOT_WITH_LOCUSTFILE = {
    "profile": "when requests leave is decided in your file",
    "arrivals": "when requests leave is decided in your file",
    "batch": "what is sent is decided in your file",
    "workers": "your file runs in one process, as you wrote it",
    "find_capacity": "the search needs requests that mlgate makes",
    "max_ratio_to_champion": "interleaved blocks need sends that are known before the run",
}


class Ramp(Section):
    """The rate rises evenly, and ends at `rate`."""

    from_: Rate | None = Field(default=None, alias="from", description="default: a tenth of rate")


class Spike(Section):
    """In the middle of the run, the rate is another one for a while."""

    to: Rate | None = Field(default=None, description="default: three times rate")
    length: Duration | None = Field(default=None, gt=0, description="default: a sixth of duration")


class Shape(Section):
    """A profile with its numbers: one of ramp, spike and trace."""

    ramp: Ramp | None = None
    spike: Spike | None = None
    trace: str | None = Field(
        default=None, min_length=1, description="CSV file of arrival times, relative to the policy file"
    )

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if sum(shape is not None for shape in (self.ramp, self.spike, self.trace)) != 1:
            raise ValueError(f"names one of {_SHAPES}")
        return self


def _profile(value: Any) -> Any:
    """Refuse a word that is no profile."""
    if isinstance(value, dict | Shape) or value in PROFILES:
        return value
    if value == "trace":
        raise ValueError("trace needs its file: {trace: arrivals.csv}")
    close = difflib.get_close_matches(str(value), PROFILES, n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    raise ValueError(f"'{str(value)[:40]}' is no profile; {hint}there are {', '.join(PROFILES)}, or {_SHAPES}")


Profile = Annotated[
    Annotated[Literal["constant", "ramp", "spike", "soak"], Tag("word")] | Annotated[Shape, Tag("section")],
    Discriminator(lambda value: "section" if isinstance(value, dict | Shape) else "word"),
    BeforeValidator(_profile),
]


class BatchRange(Section):
    """Rows per request between two numbers, each number as often as another."""

    min: int = Field(default=1, ge=1, le=MAX_BATCH_ROWS)
    max: int = Field(ge=1, le=MAX_BATCH_ROWS)

    @model_validator(mode="after")
    def _rises(self) -> Self:
        if self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}: no batch has that many rows")
        return self


def _shares(value: Any) -> Any:
    """Return rows per request to their share, of `{1: 90%, 100: 10%}`."""
    if not isinstance(value, dict):
        return value
    shares = {_rows(key): _share(key, share) for key, share in value.items()}
    if not 1 <= len(shares) <= MAX_BATCH_SIZES:
        raise ValueError(f"{len(shares)} sizes; name 1 to {MAX_BATCH_SIZES}, or {{min: 1, max: 50}}")
    total = sum(shares.values())
    if abs(total - 1) > 1e-6:
        raise ValueError(f"the shares sum to {format_number(total * 100)} %, not to 100 %")
    return shares


def _rows(key: object) -> int:
    text = str(key)
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise ValueError(f"{text[:40]} is no number of rows; write {{1: 90%, 100: 10%}} or {{min: 1, max: 50}}")
    if not 1 <= int(text) <= MAX_BATCH_ROWS:
        raise ValueError(f"{text} rows are no batch: 1 to {format_number(MAX_BATCH_ROWS)} are")
    return int(text)


def _share(key: object, text: object) -> float:
    # What was parsed once comes again as a number where a section is built from values.
    try:
        share = text if isinstance(text, float) and isinstance(key, int) else parse_percent(text)
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from error
    if share <= 0:
        raise ValueError(f"{key}: a share of 0 % is never sent; leave it out")
    return share


def _kind_of_batch(value: Any) -> str:
    if isinstance(value, BatchRange) or (isinstance(value, dict) and {"min", "max"} & value.keys()):
        return "range"
    return "shares" if isinstance(value, dict) else "rows"


_SHARES_SCHEMA = {
    "type": "object",
    "patternProperties": {"^[1-9][0-9]*$": {"type": "string", "examples": ["90%"]}},
    "additionalProperties": False,
    "minProperties": 1,
}
BatchRows = Annotated[
    Annotated[int, Field(ge=1, le=MAX_BATCH_ROWS), Tag("rows")]
    | Annotated[BatchRange, Tag("range")]
    | Annotated[dict[int, float], BeforeValidator(_shares), WithJsonSchema(_SHARES_SCHEMA), Tag("shares")],
    Discriminator(_kind_of_batch),
]


class UserLocustfile(Section):
    """A locustfile of the user's own, in place of the requests and the schedule of mlgate."""

    file: str = Field(min_length=1, description="relative to the policy file")
    users: int = Field(default=20, ge=1, le=10_000, description="users at once")
    spawn_rate: Rate = Field(default=10.0, description="users started per second")


class Load(Section):
    """The load suite."""

    rate: Rate = 20.0
    duration: Duration = 30.0
    arrivals: Literal["constant", "poisson"] = Field(
        default="constant",
        description="poisson: as independent callers come, seeded; the number of requests is the same",
    )
    profile: Profile = Field(
        default="constant", description=f"constant, ramp, spike, soak (10 minutes or more), or {_SHAPES}"
    )
    batch: BatchRows = Field(
        default=1, description="rows per request: a number, {min: 1, max: 50}, or {1: 90%, 100: 10%}"
    )
    p95: Duration | None = Field(default=0.25, gt=0)
    p99: Duration | None = Field(default=None, gt=0)
    error_rate: Share = Field(default=0.01, gt=0, lt=1)
    confidence: Share = Field(default=0.95, gt=0.5, lt=1)
    max_memory_growth: Size | None = Field(
        default=None, description="of the server over the run; default: a tenth of runtime.memory"
    )
    max_drift: float = Field(
        default=2.0, gt=1, le=100, description="median latency of the run's last third against that of its first"
    )
    max_ratio_to_champion: float | None = Field(
        default=None, gt=0, le=100, description="p95 in blocks, in turns with the champion's; default: not checked"
    )
    workers: int = Field(default=1, ge=1, le=64, description="locust processes that share the schedule")
    find_capacity: bool = Field(
        default=False, description="look for the highest rate within the limits as well; reported, never judged"
    )
    locustfile: UserLocustfile | None = Field(default=None, description="send what a locustfile of your own sends")

    @property
    def shape(self) -> Literal["constant", "ramp", "spike", "soak", "trace"]:
        """Which profile it is, however it is written."""
        match self.profile:
            case Shape(ramp=Ramp()):
                return "ramp"
            case Shape(spike=Spike()):
                return "spike"
            case Shape():
                return "trace"
            case word:
                return word

    @property
    def trace(self) -> str | None:
        """File of the recorded arrivals, relative to the policy file; `None` where the profile is no trace."""
        return self.profile.trace if isinstance(self.profile, Shape) else None

    @property
    def ramp_from(self) -> float:
        """Requests per second at which a ramp begins."""
        given = self.profile.ramp.from_ if isinstance(self.profile, Shape) and self.profile.ramp else None
        return self.rate * RAMP_FROM if given is None else given

    @property
    def spike_to(self) -> float:
        """Requests per second of a spike."""
        given = self.profile.spike.to if isinstance(self.profile, Shape) and self.profile.spike else None
        return self.rate * SPIKE_TO if given is None else given

    @property
    def spike_length(self) -> float:
        """Seconds of a spike."""
        given = self.profile.spike.length if isinstance(self.profile, Shape) and self.profile.spike else None
        return self.duration * SPIKE_LENGTH if given is None else given

    @property
    def requests(self) -> int | None:
        """Number of requests the schedule sends; `None` where only a file knows: a trace, or a user's locustfile."""
        if self.locustfile is not None:
            return None
        match self.shape:
            case "ramp":
                return round((self.ramp_from + self.rate) / 2 * self.duration)
            case "spike":
                return round(self.rate * self.duration + (self.spike_to - self.rate) * self.spike_length)
            case "trace":
                return None
            case _:
                return round(self.rate * self.duration)

    @property
    def files(self) -> tuple[str, ...]:
        """Files that decide what is sent, relative to the policy file."""
        own = self.locustfile.file if self.locustfile is not None else None
        return tuple(name for name in (self.trace, own) if name is not None)

    def memory_growth(self, memory: int) -> int:
        """Return the bytes that the server may gain over the run.

        Args:
            memory: `runtime.memory`, in bytes.
        """
        return round(memory * MEMORY_GROWTH_SHARE) if self.max_memory_growth is None else self.max_memory_growth

    def undecidable(self, requests: int, duration_s: float) -> str | None:
        """Say which limit a schedule could never pass, and what it needs; `None` where there is none.

        The key that is to blame begins the line.

        Args:
            requests: Of the schedule.
            duration_s: Its length in seconds.
        """
        shares = {"p95": 0.05 if self.p95 else None, "p99": 0.01 if self.p99 else None, "error_rate": self.error_rate}
        for key, share in shares.items():
            needed = requests_needed(share, self.confidence) if share else 0
            if needed > requests:
                return (
                    f"{key} can not be decided: {format_share(share or 0)} at {format_share(self.confidence)} needs "
                    f"{needed} clean requests, {self._words} sends {requests}"
                )
        blocks_s, in_blocks = REGRESSION_BLOCKS * MIN_BLOCK_S, REGRESSION_BLOCKS * MIN_BLOCK_REQUESTS
        if self.max_ratio_to_champion is not None and (duration_s < blocks_s or requests < in_blocks):
            return (
                f"max_ratio_to_champion can not be decided: {REGRESSION_BLOCKS} blocks a side need {blocks_s:g} s and "
                f"{in_blocks} requests, {self._words} sends {requests}"
            )
        return None

    def checks(self, *, champion: bool) -> tuple[str, ...]:
        """Return the ids that must be in the evidence; `load.capacity` is advisory and therefore not among them.

        Args:
            champion: Whether there is a champion to compare with.
        """
        percentiles = [name for name, limit in (("p95", self.p95), ("p99", self.p99)) if limit is not None]
        regression = ("load.regression",) if champion and self.max_ratio_to_champion is not None else ()
        latencies = (f"load.{name}_latency" for name in percentiles)
        return (*latencies, "load.error_rate", "load.rate", *self._trends, *regression)

    @property
    def _trends(self) -> tuple[str, ...]:
        """Checks of how the run goes on, where it is long and steady enough to show that."""
        if self.shape == "trace" or self.duration < MIN_TREND_S:
            return ()  # how long a trace is stands in its file, and what is expected is known without it
        return ("load.memory", "load.drift") if self.shape in STEADY else ("load.memory",)

    @property
    def _words(self) -> str:
        length = format_duration(self.duration)
        match self.shape:
            case "ramp":
                return f"a ramp from {self.ramp_from:g}/s to {self.rate:g}/s in {length}"
            case "spike":
                spike = f"{self.spike_to:g}/s for {format_duration(self.spike_length)} of it"
                return f"{self.rate:g}/s for {length} with {spike}"
            case "trace":
                return f"the trace {self.trace}"
            case _:
                return f"{self.rate:g}/s for {length}"

    @model_validator(mode="after")
    def _stands_with_its_locustfile(self) -> Self:
        if self.locustfile is not None:
            for key, why in _NOT_WITH_LOCUSTFILE.items():
                if key in self.model_fields_set:
                    raise ValueError(f"{key} can not stand with locustfile: {why}")
        return self

    @model_validator(mode="after")
    def _is_a_run(self) -> Self:
        if not MIN_RUN_S <= self.duration <= MAX_RUN_S:
            length, least, most = map(format_duration, (self.duration, MIN_RUN_S, MAX_RUN_S))
            raise ValueError(f"duration is {length}; a run is {least} to {most} long")
        return self

    @model_validator(mode="after")
    def _profile_fits(self) -> Self:
        match self.shape:
            case "ramp" if self.ramp_from > self.rate:
                raise ValueError(
                    f"profile.ramp.from {self.ramp_from:g}/s is above rate {self.rate:g}/s: a ramp rises to it"
                )
            case "spike" if self.spike_to <= self.rate:
                raise ValueError(
                    f"profile.spike.to {self.spike_to:g}/s is not above rate {self.rate:g}/s: that is no spike"
                )
            case "spike" if self.spike_length >= self.duration:
                length, run = format_duration(self.spike_length), format_duration(self.duration)
                raise ValueError(f"profile.spike.length {length} is not shorter than the run of {run}")
            case "soak" if self.duration < MIN_SOAK_S:
                least, run = f"{MIN_SOAK_S / 60:g} minutes", format_duration(self.duration)
                raise ValueError(
                    f"profile soak needs at least {least}, duration is {run}: a leak has to have time to show"
                )
            case "trace":
                taken = next((key for key in ("rate", "duration") if key in self.model_fields_set), None)
                if taken is not None:
                    raise ValueError(f"{taken} can not stand with profile.trace: it is the trace's own; leave it out")
            case _:
                pass
        return self

    @model_validator(mode="after")
    def _decidable(self) -> Self:
        if self.requests is None:
            return self
        if self.requests > MAX_REQUESTS:
            most = format_number(MAX_REQUESTS)
            raise ValueError(
                f"rate times duration are {format_number(self.requests)} requests; a run has at most {most}"
            )
        problem = self.undecidable(self.requests, self.duration)
        if problem is not None:
            raise ValueError(problem)
        return self
