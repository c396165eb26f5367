"""The evaluation data as something that is used up: how often challengers were chosen by it. Pure."""


def repeat_use(challengers: int, limit: int) -> str:
    """Warn of data that too many challengers were judged on.

    Each judgement lets a little of the data into the next challenger: whoever retrains until one passes has fitted the
    holdout (Dwork et al. 2015, Science 349:636).

    Args:
        challengers: Different challengers (by artifact digest) judged on this data digest, the present one included.
        limit: The policy's `accuracy.max_challengers`.

    Returns:
        One sentence with the count; empty up to the limit.

    Raises:
        ValueError: A count is negative.
    """
    if challengers < 0 or limit < 0:
        raise ValueError(f"{challengers} challengers and a limit of {limit} are no counts")
    if challengers <= limit:
        return ""
    return (
        f"{challengers} different challengers have been judged on this evaluation data, more than {limit}: "
        "the one that passes may fit these rows and no others; collect fresh ones"
    )
