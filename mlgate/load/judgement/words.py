"""Latencies that may be infinite, in words and as JSON. Pure."""

import math


def latency_words(time_ms: float) -> str:
    """Return a latency for a sentence; an infinite one is that of a request without a good answer."""
    return f"{time_ms:.1f} ms" if math.isfinite(time_ms) else "no good answer"


def rounded(value: float) -> float | None:
    """Return *value* to the thousandth, `None` where it is infinite."""
    return round(value, 3) if math.isfinite(value) else None
