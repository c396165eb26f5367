"""Rows a second of the property suite against its peers, and five planted bugs: found, and how small the case is.

An endpoint of 20 mixed columns that takes 5 ms a request (`planted_bugs.py`). Rate: `properties.total` over 10 000 rows of the
endpoint without a bug, beside plain `@given` with one row a request and Schemathesis on an OpenAPI description of the same endpoint
(its own time from the first request to the last; its start is left out). Interleaved in one run, medians: at least 50 times as many.

Bugs, one at a time: `properties.total` must find four of them and `properties.batch` the fifth, in at least 19 of 20 seeds all five,
each reduced to one row (rows in another order: two, since one alone has no order) with at most two values that are no default.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from machine import finish, spread
from planted_bugs import INPUTS, OUTPUTS, RULES
from property_peers import given_rows, install, schemathesis_rows

from mlgate.artifacts.signature import Signature
from mlgate.evidence import Finding, Outcome
from mlgate.failure import Origin
from mlgate.generation.input_space import input_space
from mlgate.scoring.client import ScoringClient
from mlgate.scoring.equality import equality_for
from mlgate.scoring.protocols import Invocations
from mlgate_suites.cells import not_default
from mlgate_suites.properties import test_batch, test_total
from mlgate_suites.search import Search
from mlgate_suites.searched import Searched

ROWS = 10_000
GOAL = 50.0
SEEDS, ENOUGH = 20, 19
MOST_CHANGED = 2
# Bug to rows of its smallest case: an order needs two.
BUGS = {"crash": 1, "nan": 1, "order": 2, "hang": 1, "overflow": 1}
# A request of 500 rows takes 30 ms: a hang is one for certain after so long.
TIMEOUT_S = 0.5


@dataclass
class Endpoint:
    """The address of one bug, as the model server of a run. It is never gone: each request has a thread of its own."""

    url: str
    protocol: Invocations = field(default_factory=Invocations)

    def restart(self) -> None:
        """Nothing to do."""

    def failure(self) -> None:
        """It runs."""

    def limits_met(self, _said: str = "") -> tuple[str, ...]:
        """None."""
        return ()

    def stacks(self) -> str:
        """It prints none."""
        return ""

    log = stacks


@dataclass
class Run:
    """What a check said, and the search behind it.

    Attributes:
        finding: The check's.
        searched: What its search came to.
        seconds: From start to finding.
        cells: Values of the smallest case that are no default.
    """

    finding: Finding
    searched: Searched
    seconds: float
    cells: int = 0

    @property
    def rows(self) -> int:
        """Rows of the smallest case; 0 where nothing was found."""
        return len(self.searched.found.case) if self.searched.found else 0


def ours(check, url: str, seed: int) -> Run:
    """Run one check of the property suite as it stands, with 10 000 rows."""
    signature, space = Signature(inputs=INPUTS, outputs=OUTPUTS), input_space(INPUTS, rules=RULES, seed=seed)
    client, findings, kept = ScoringClient(Endpoint(url), timeout_s=TIMEOUT_S), [], []
    with tempfile.TemporaryDirectory(prefix="mlgate-bench-") as folder:
        search = Search(
            check=f"properties.{check.__name__.removeprefix('test_')}",
            suite="properties",
            client=client,
            examples=ROWS,
            seed=seed,
            folder=Path(folder),
            origin=Origin(uri=url, artifact_digest="", policy_digest=""),
        )
        began = time.perf_counter()
        watched = _Watched(search, kept)
        if check is test_total:
            check(client, signature, space, watched, findings.append)
        else:
            check(client, space, equality_for(OUTPUTS), watched, findings.append)
        seconds = time.perf_counter() - began
    client.close()
    found = kept[0].found
    return Run(findings[0], kept[0], seconds, 0 if found is None else len(not_default(found.case, space)))


class _Watched:
    """The search, with what it came to kept for this table."""

    def __init__(self, search: Search, kept: list[Searched]) -> None:
        self._search, self._kept = search, kept

    def run(self, *arguments, **more) -> Searched:
        self._kept.append(self._search.run(*arguments, **more))
        return self._kept[-1]

    def __getattr__(self, name: str):
        return getattr(self._search, name)


def our_rate(url: str, seed: int) -> float:
    """Return rows a second of `properties.total` on the endpoint without a bug."""
    run = ours(test_total, url, seed)
    if run.finding.outcome is not Outcome.PASSED or run.finding.n != ROWS:
        sys.exit(f"not {ROWS} rows, or not passed: {run.finding.reason}")
    return ROWS / run.seconds


def rates(base: str, repeats: int) -> dict[str, list[float]]:
    """Return rows a second by name, by turns."""
    url = f"{base}/none"
    found: dict[str, list[float]] = {"ours": [], "@given": [], "schemathesis": []}
    with tempfile.TemporaryDirectory(prefix="mlgate-bench-") as folder:
        command = install(Path(folder))
        for repeat in range(repeats + 1):
            found["ours"].append(our_rate(url, repeat))
            found["@given"].append(given_rows(url, 200, repeat))
            found["schemathesis"].append(schemathesis_rows(command, url, 60, repeat))
    # The first of each also imported what it needs.
    return {name: values[1:] for name, values in found.items()}


def hunt(base: str, seeds: int) -> dict[str, list[Run]]:
    """Look for each bug with each seed."""
    return {
        bug: [ours(test_batch if bug == "order" else test_total, f"{base}/{bug}", seed) for seed in range(seeds)]
        for bug in BUGS
    }


def small(bug: str, run: Run) -> bool:
    """Whether the bug is found and its case is as small as it must be."""
    return run.finding.outcome is Outcome.FAILED and run.rows == BUGS[bug] and run.cells <= MOST_CHANGED


def main() -> int:
    """Measure, print, and say whether the goals are reached."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer seeds and repeats")
    repeats, seeds = (3, 4) if parser.parse_args().quick else (5, SEEDS)
    command = [sys.executable, str(Path(__file__).parent / "planted_bugs.py")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            base = f"http://127.0.0.1:{int(server.stdout.readline())}"
            measured = rates(base, repeats)
            hunted = hunt(base, seeds)
        finally:
            server.kill()
    ratios = {
        name: statistics.median(measured["ours"]) / statistics.median(measured[name])
        for name in ("@given", "schemathesis")
    }
    print(f"{'rows a second':16}{'':32}{'ours is':>10}")
    for name, values in measured.items():
        print(f"{name:16}{spread(values, digits=0):>32}{f'{ratios[name]:.0f} x' if name in ratios else '':>10}")
    print(f"\n{'bug':12}{'found':>8}{'small':>8}{'rows':>8}{'values':>8}{'probes':>8}{'seconds':>26}")
    for bug, runs in hunted.items():
        found = [run for run in runs if run.searched.found]
        sizes = [max((value(run) for run in found), default=0) for value in (lambda r: r.rows, lambda r: r.cells)]
        probes = statistics.median(run.searched.found.probes for run in found) if found else 0
        least = sum(small(bug, run) for run in runs)
        print(
            f"{bug:12}{len(found):>8}{least:>8}{sizes[0]:>8}{sizes[1]:>8}{probes:>8.0f}{spread([run.seconds for run in runs]):>26}"
        )
    print("found, small: of the seeds; rows, values: the most in a smallest case; probes: median")
    whole = sum(all(small(bug, hunted[bug][seed]) for bug in BUGS) for seed in range(seeds))
    enough = seeds - (SEEDS - ENOUGH)
    least = min(ratios.values())
    return finish(
        "property_rows",
        ratio=least,
        goal=f">= {GOAL:.0f} times as many rows; all five bugs, each at its smallest, with {enough} of {seeds} seeds",
        n=repeats,
        reached=least >= GOAL and whole >= enough,
        rows_per_s={name: round(statistics.median(values)) for name, values in measured.items()},
        ratios={name: round(ratio, 1) for name, ratio in ratios.items()},
        seeds_with_all_five=whole,
        found={bug: sum(run.searched.found is not None for run in runs) for bug, runs in hunted.items()},
        seconds_to_found={bug: round(statistics.median(r.seconds for r in runs), 2) for bug, runs in hunted.items()},
    )


if __name__ == "__main__":
    sys.exit(main())
