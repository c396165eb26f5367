"""A relation of your own, for the model of quickstart.py: what must hold between the answers to two requests."""

import pandas as pd

import mlgate


def a_year_later(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the same customers, who have stayed for a year more."""
    return rows.assign(tenure=rows["tenure"] + 1)


@mlgate.relation("acceptance.loyalty", suite="acceptance", change=a_year_later)
def test_loyalty(before: mlgate.Answered, after: mlgate.Answered) -> "pd.Series[bool]":
    """Who has stayed for longer is not likelier to leave."""
    return after.answers <= before.answers
