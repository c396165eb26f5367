"""The search for a row that breaks a claim: generated, narrowed to one row, made minimal, saved. One a check.

A claim takes a batch and says what is wrong with the answers to it, or `None`. A relation between two requests is a claim
as well: what the second request needs beyond the first (another value of a column) is drawn as columns of its own beside
the inputs (`InputSpace.with_extra`), so that narrowing and simplifying treat pairs as they treat rows. A claim that compares
answers raises `Unanswered` where there is none (`ask_rows` does): such rows are `properties.total`'s to find.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from zlib import crc32

from mlgate.errors import ServerError
from mlgate.evaluation.rows import EvaluationData
from mlgate.evidence import Finding
from mlgate.failure import MAX_EXCHANGES, Case, DataRow, Failure, Origin
from mlgate.generation.choice import ChoiceDomain
from mlgate.generation.coverage import Coverage
from mlgate.generation.domain import ValueDomain
from mlgate.generation.input_space import InputSpace
from mlgate.generation.known import Origin as DataOrigin
from mlgate.relations import Relation
from mlgate.scoring.client import ScoringClient
from mlgate.scoring.payloads import Batch
from mlgate_suites.cells import changed_names, not_default
from mlgate_suites.findings import errored, explained
from mlgate_suites.problem import Claim, Problem, Request, Unanswered, Unpaired, ask, ask_rows
from mlgate_suites.rates import Rate
from mlgate_suites.saved import Misfit, exchanges_of, rows_of, save, shown_request, shown_rows
from mlgate_suites.searched import Found, Searched, finding_of
from mlgate_suites.shrink import MAX_HANG_PROBES, MAX_PROBES, Budget, Probe, narrow, simplify
from mlgate_suites.strategies import batches
from mlgate_suites.tally import Tally
from mlgate_suites.user_relations import RelationError, claim_of

__all__ = [
    "Claim",
    "Found",
    "Problem",
    "Request",
    "Search",
    "Searched",
    "Unanswered",
    "Unpaired",
    "ask",
    "ask_rows",
]

# Rows of one request. 20 mixed columns and 7 ms a request, drawing and encoding included: 1 700 rows/s with 25 rows,
# 4 700 with 50, 14 500 with 250, 19 700 with 500, 22 900 with 1 000, 25 000 with 2 000; and narrowing takes longer.
MOST_ROWS = 500
LEAST_ROWS = 25
# Batches that the rows of a run come in at the least: each has a structure of its own.
LEAST_BATCHES = 10
# nginx refuses a body above 1 MiB unless it is told otherwise (client_max_body_size).
MOST_BYTES = 1_000_000
# A failure that does not come every time is looked for so often before it is called fixed.
REPEATS = 3


@dataclass(slots=True, kw_only=True)
class Search:
    """The search of one check.

    Attributes:
        check: Text form of the check's id.
        suite: The check's.
        client: Of the served version.
        examples: Rows to try: `properties.examples`.
        tolerate: Share of rows that may break the claim: `properties.tolerate`.
        seed: Of the run.
        folder: Of the run's files; failures are saved below it.
        origin: What is tested.
        known: Saved failures of this check, by file name; they are tried before anything is drawn.
        only_known: Nothing is drawn: `mlgate replay`.
        data: The evaluation data, for rows that are saved as their key.
        store_rows: Whether values of the evaluation data may be stored: `evidence.rows: full`.
        replayed: Known failures that were tried.
    """

    check: str
    suite: str
    client: ScoringClient
    examples: int
    seed: int
    folder: Path
    origin: Origin
    tolerate: float | None = None
    known: Mapping[str, Failure] = field(default_factory=dict)
    only_known: bool = False
    data: EvaluationData | None = None
    store_rows: bool = False
    replayed: int = 0

    def run(
        self,
        claim: Claim,
        space: InputSpace,
        *,
        examples: int | None = None,
        rows: int | None = None,
        probes: int = MAX_PROBES,
    ) -> Searched:
        """Look for rows that break *claim*; known failures come first, and are all that is tried in a replay.

        Args:
            claim: Says what is wrong with the answers to a batch.
            space: Valid rows, with the further columns that the claim needs.
            examples: Rows to try; default: the policy's. Where a claim says so itself, `properties.tolerate` does not
                count: it is a share of `properties.examples`.
            rows: Most rows of one batch; default: so many that there are some batches.
            probes: Requests that narrowing may take, for claims of which one probe is dear.
        """
        found, problem = self._try_known(claim, space)
        coverage = Coverage(space)
        if found is not None or problem or self.only_known:
            return Searched(found=found, rows=0, coverage={}, replayed=self.replayed, problem=problem)
        tally, tolerate = Tally(), None if examples else self.tolerate
        broken: tuple[Batch, Problem] | None = None
        for batch, wrong in self._tried(claim, space, tally, examples or self.examples, rows):
            coverage.add(batch)
            broken = broken or (None if wrong is None else (batch, wrong))
            if wrong is not None and tolerate is None:
                tally.batches.append((len(batch), 1))
                break
            tally.add(batch, wrong, claim)
        counts = tuple(tally.batches)
        return Searched(
            found=None if broken is None else self._narrowed(claim, space, *broken, probes),
            rows=tally.rows,
            broken=sum(count for _, count in counts),
            coverage=coverage.to_json(),
            empty=tuple(coverage.empty),
            unanswered=tally.unanswered,
            unpaired=tally.unpaired,
            stopped=tally.stopped,
            replayed=self.replayed,
            rate=None if tolerate is None or not counts else Rate(batches=counts, tolerate=tolerate),
        )

    def finding(self, searched: Searched, *, passed: str) -> Finding:
        """Return what *searched* says of the check.

        Args:
            searched: What `run` came to.
            passed: The reason where the claim holds; `{n}` stands for the rows tried.
        """
        return finding_of(searched, passed_text=passed, seed=self.seed)

    def relation(self, declared: Relation, space: InputSpace, fixtures: Mapping[str, Any]) -> Finding:
        """Return what a user's own relation comes to; an error in its code is nobody's failure but its own.

        Args:
            declared: By `mlgate.relation`.
            space: The valid inputs.
            fixtures: What its function asked for, by name.
        """
        try:
            searched = self.run(claim_of(declared, self.client, space, fixtures), space)
        except RelationError as error:
            return errored(str(error), advice="it is the relation's own code that raised, not the model")
        what = "pairs of valid rows" if declared.change is not None else "valid rows"
        return self.finding(searched, passed=f"it holds for {{n}} generated {what}")

    def _tried(
        self, claim: Claim, space: InputSpace, tally: Tally, examples: int, rows: int | None
    ) -> Iterator[tuple[Batch, Problem | None]]:
        most = self.rows_per_request(space, rows or max(LEAST_ROWS, examples // LEAST_BATCHES))
        own = self._own_seed
        for batch in batches(space, examples=examples, rows=most, seed_value=own, folder=self.folder):
            yield from tally.asked(claim, batch)
            if tally.stopped:  # each further batch would cost a timeout and a restart
                return

    @property
    def _own_seed(self) -> int:
        """Each check draws rows of its own."""
        return self.seed ^ (crc32(self.check.encode()) << 16)

    def rows_per_request(self, space: InputSpace, wanted: int) -> int:
        """Return how many rows a request carries: *wanted*, but for what its size and the model's own shape allow."""
        if space.request_rows is not None:
            return space.request_rows
        few = space.inputs_of(space.sample(2, seed=self._own_seed))
        body, _ = self.client.protocol.encode(few)
        return max(1, min(MOST_ROWS, wanted, MOST_BYTES * len(few) // len(body)))

    def _narrowed(self, claim: Claim, space: InputSpace, batch: Batch, problem: Problem, probes: int) -> Found:
        # One probe is kept back: the smallest batch is tried last, while the server still knows what became of it.
        probe = Probe(claim, Budget(probes, MAX_HANG_PROBES - 1), batch, problem)
        if space.request_rows is None:
            narrow(probe)
        simplify(probe, space, seed_value=self._own_seed, folder=self.folder)
        return self._settled(claim, space, probe)

    def _settled(self, claim: Claim, space: InputSpace, probe: Probe) -> Found:
        try:
            last = claim(probe.batch)
        except (Unanswered, Unpaired, ServerError):
            last = None
        text, facts = self._explained(last or probe.problem)
        problem = replace(last or probe.problem, text=text)
        case = self._case(probe.batch, space)
        changed = changed_names(probe.batch, space)
        exchanges = exchanges_of(problem, self.client.protocol.path, most=MAX_EXCHANGES, shown=not case.keys)
        failure = Failure(
            check=self.check,
            suite=self.suite,
            problem=problem.text,
            changed=changed,
            case=case,
            exchanges=exchanges,
            seed=self.seed,
            origin=self.origin,
        )
        return Found(
            case=probe.batch,
            problem=problem,
            changed=changed,
            probes=probe.budget.spent + 1,
            file=save(failure, self.folder),
            shown=shown_rows(case),
            details=facts | shown_request(exchanges),
            steady=last is not None,
        )

    def _case(self, batch: Batch, space: InputSpace) -> Case:
        rows = tuple(self._row(batch, space, row) for row in range(len(batch)))
        return Case(columns=batch.columns, rows=rows)

    def _row(self, batch: Batch, space: InputSpace, row: int) -> Any:
        """Return a row as it may be stored: one that still holds something of a row of the evaluation data as its key."""
        origin = None if self.store_rows else space.origin(batch, row)
        names = [domain.name for domain in space.domains]
        if origin is None or not _holds_data(batch, space, row, origin):
            return batch.rows[row]
        changed = tuple((name, origin.changed[name]) for name in names if name is not None and name in origin.changed)
        return DataRow(key=origin.key, changed=changed)

    # Known failures

    def _try_known(self, claim: Claim, space: InputSpace) -> tuple[Found | None, str]:
        """Return the first known failure that still breaks the claim, or why one could not be tried."""
        for name, failure in self.known.items():
            try:
                batch = rows_of(failure.case, space, self.data)
                problem = self._still(claim, batch)
            except Misfit as error:
                return None, f"{name}: {error}"
            except Unanswered:
                return None, f"{name}: its rows are not answered, so that there is nothing to compare"
            except Unpaired:
                return None, f"{name}: its rows have no partner that is a valid input any more"
            self.replayed += 1
            if problem is not None:
                return self._found_again(name, failure, batch, problem, space), ""
        return None, ""

    def _still(self, claim: Claim, batch: Batch) -> Problem | None:
        for _ in range(REPEATS):
            problem = claim(batch)
            if problem is not None:
                return problem
        return None

    def _found_again(self, name: str, failure: Failure, batch: Batch, problem: Problem, space: InputSpace) -> Found:
        text, facts = self._explained(problem)
        exchanges = exchanges_of(
            problem, self.client.protocol.path, most=MAX_EXCHANGES, shown=self.store_rows or not failure.case.keys
        )
        return Found(
            case=batch,
            problem=replace(problem, text=text),
            changed=changed_names(batch, space),
            probes=0,
            known=name,
            shown=shown_rows(failure.case),
            details=facts | shown_request(exchanges) | ({} if space.holds(batch) else {"outside": True}),
        )

    def _explained(self, problem: Problem) -> tuple[str, dict[str, Any]]:
        if not problem.answers:
            return problem.text, {}
        return explained(problem.text, problem.answers[-1], self.client)


def _holds_data(batch: Batch, space: InputSpace, row: int, origin: DataOrigin) -> bool:
    """Whether a row still has a value that only the row of the evaluation data can have brought."""
    domains = [space.domains[place] for found, place in not_default(batch, space) if found == row]
    return any(domain.name not in origin.changed and not _is_public(domain) for domain in domains)


def _is_public(domain: ValueDomain) -> bool:
    return isinstance(domain, ChoiceDomain) and (domain.declared or isinstance(domain.values[0], bool))
