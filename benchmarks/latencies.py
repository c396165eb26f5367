"""Response times with a known share beyond the limit: independent, and in seconds that share their fate."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

RATE, DURATION_S = 100, 60
REQUESTS = RATE * DURATION_S
# A request's own spread on the log scale: a lognormal of 0.5 is what the reference's figures on n assume.
SPREAD = 0.5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Latencies:
    """A lognormal request times the effect of its second.

    Attributes:
        name: In words.
        effects: Equally likely effects of a second, one factor a second; independent requests have the single effect 1.
    """

    name: str
    effects: NDArray[np.float64]

    def share_beyond(self, ratio: float) -> float:
        """Return the share of requests beyond *ratio* times the median request of a second without effect; exact."""
        return float(special.ndtr(-np.log(ratio / self.effects) / SPREAD).mean())

    def scale(self, q: float, quantile_ms: float) -> float:
        """Return the median in ms at which the true *q* quantile of all requests is *quantile_ms*."""

        def missed(log_ratio: float) -> float:
            return self.share_beyond(float(np.exp(log_ratio))) - (1 - q)

        widest = 10 * SPREAD + np.log(self.effects.max())
        return quantile_ms / float(np.exp(optimize.brentq(missed, -widest, widest, xtol=1e-12)))

    def draw(self, rng: np.random.Generator, median_ms: float) -> NDArray[np.float64]:
        """Return one run: milliseconds of `REQUESTS` requests, in order, `RATE` to a second."""
        seconds = rng.choice(self.effects, DURATION_S)
        return median_ms * np.repeat(seconds, RATE) * np.exp(SPREAD * rng.standard_normal(REQUESTS))


def _lognormal_effects(spread: float, count: int = 1000) -> NDArray[np.float64]:
    return np.exp(spread * special.ndtri((np.arange(count) + 0.5) / count))


INDEPENDENT = Latencies(name="independent", effects=np.ones(1))
BLOCKS = Latencies(name="seconds vary", effects=_lognormal_effects(0.25))
BURSTS = Latencies(name="1 second in 20 twice as slow", effects=np.repeat([1.0, 2.0], [19, 1]))
