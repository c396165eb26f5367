"""Rankings: NDCG@k and MRR. A group is a query, the rows of a group its items, the truth their relevance.

The value is the mean over queries, and queries are what is reweighted: `statistics/mean_losses.py`, with n = queries.

NDCG is scikit-learn's: gain = relevance, discount 1 / log2(place + 1), items of equal score share the mean discount of
their places (McSherry and Najork 2008), and a query without relevant items has 0. MRR is the mean of 1 / place of the
first item with relevance above 0; of items of equal score it is the last, so that a model can not score by not ranking.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mlgate.evaluation.metric_names import MetricFacts
from mlgate.evaluation.metrics.interface import Family
from mlgate.evaluation.sample import Sample
from mlgate.statistics.arguments import Vector
from mlgate.statistics.column_means import compact_codes
from mlgate.statistics.interval import Interval, Undefined
from mlgate.statistics.mean_losses import mean_loss_interval, paired_mean_loss_interval


@dataclass(frozen=True, slots=True, kw_only=True)
class RankingMetric:
    """A mean over queries of a number in [0, 1]."""

    facts: MetricFacts
    at: float | None

    def value(self, sample: Sample) -> float | Undefined:
        """Return the mean over queries."""
        values = self._by_query(sample)
        return values if isinstance(values, Undefined) else float(values.mean())

    def interval(self, sample: Sample, *, confidence: float, seed: int) -> Interval | Undefined:
        """Return the mean over queries with its bounds."""
        values = self._by_query(sample)
        if isinstance(values, Undefined):
            return values
        return _of_queries(mean_loss_interval(values, confidence, seed=seed, largest=1.0), sample)

    def difference(self, challenger: Sample, champion: Sample, *, confidence: float, seed: int) -> Interval | Undefined:
        """Return challenger's minus champion's mean over the same queries."""
        new, old = self._by_query(challenger), self._by_query(champion)
        if isinstance(new, Undefined):
            return new
        if isinstance(old, Undefined):
            return old
        return _of_queries(paired_mean_loss_interval(new, old, confidence, seed=seed, largest=1.0), challenger)

    def _by_query(self, sample: Sample) -> Vector | Undefined:
        if sample.group is None or sample.score is None:
            raise ValueError("a ranking needs scores and queries")
        if not len(sample):
            return Undefined(reason="no rows", n=0)
        if sample.truth.min() < 0:
            return Undefined(reason="a relevance is below 0", n=len(sample))
        query, relevance = compact_codes(sample.group), sample.truth.astype(np.float64)
        score = sample.score.astype(np.float64)
        return _reciprocal(query, relevance, score) if self.at is None else _ndcg(query, relevance, score, int(self.at))


def _of_queries(found: Interval | Undefined, sample: Sample) -> Interval | Undefined:
    if isinstance(found, Undefined):
        return replace(found, reason=found.reason.replace("rows", "queries"))
    return replace(found, details={**found.details, "groups": found.n, "rows": len(sample)})


def _ndcg(query: NDArray[np.intp], relevance: Vector, score: Vector, places: int) -> Vector:
    gained, best = _dcg(query, relevance, score, places), _dcg(query, relevance, relevance, places)
    shares: Vector = np.divide(gained, best, out=np.zeros_like(gained), where=best > 0)
    return np.minimum(shares, 1.0)


def _dcg(query: NDArray[np.intp], relevance: Vector, score: Vector, places: int) -> Vector:
    """Sum up discounted gains by query; items of equal score share the mean of their discounts."""
    order, place, tied = _ranked(query, score)
    discount = np.where(place < places, 1 / np.log2(place + 2), 0.0)
    shared = np.bincount(tied, weights=discount) / np.bincount(tied)
    return np.bincount(query[order], weights=relevance[order] * shared[tied]).astype(np.float64, copy=False)


def _reciprocal(query: NDArray[np.intp], relevance: Vector, score: Vector) -> Vector:
    order, place, tied = _ranked(query, score)
    last = np.zeros(int(tied[-1]) + 1)
    np.maximum.at(last, tied, place + 1.0)
    found = np.where(relevance[order] > 0, 1 / last[tied], 0.0)
    best = np.zeros(int(query.max()) + 1)
    np.maximum.at(best, query[order], found)
    return best


def _ranked(query: NDArray[np.intp], score: Vector) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Order items by query and falling score: indices, place in the query from 0, and number of the run of ties."""
    order = np.lexsort((-score, query))
    queries, scores = query[order], score[order]
    first = np.searchsorted(queries, queries)
    opens = np.append(True, (queries[1:] != queries[:-1]) | (scores[1:] != scores[:-1]))
    return order, np.arange(order.size) - first, np.cumsum(opens) - 1


RANKINGS = Family(names=frozenset({"ndcg", "mrr"}), make=lambda facts, at: RankingMetric(facts=facts, at=at))
