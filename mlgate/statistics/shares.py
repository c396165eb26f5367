"""Shares and confidences by arithmetic alone: what a policy is held to is known without numpy, whose import takes long."""

import math


def check_confidence(confidence: float) -> None:
    """Refuse a confidence outside (0.5, 1): at 0.5 or below, a lower bound would lie above its estimate.

    Raises:
        ValueError: The confidence is outside the open interval.
    """
    if not 0.5 < confidence < 1.0:
        message = f"confidence {confidence} is not between 0.5 and 1"
        raise ValueError(message)


def check_share(name: str, share: float) -> None:
    """Refuse a share outside (0, 1).

    Raises:
        ValueError: The share is outside the open interval.
    """
    if not 0.0 < share < 1.0:
        message = f"{name} {share} is not between 0 and 1"
        raise ValueError(message)


def requests_needed(limit_share: float, confidence: float) -> int:
    """Count the requests for which zero violations puts the upper bound at or below the limit.

    The bound at zero violations is 1 - (1 - confidence)**(1/n), so n = ln(1 - confidence) / ln(1 - limit_share).

    Args:
        limit_share: Largest share of violations that is acceptable, in (0, 1).
        confidence: Of the upper bound, in (0.5, 1).

    Returns:
        The smallest such n: 299 for 1 % at 95 %.

    Raises:
        ValueError: An argument is out of range.
    """
    check_share("limit_share", limit_share)
    check_confidence(confidence)
    return max(1, math.ceil(math.log1p(-confidence) / math.log1p(-limit_share)))
