"""Rows a second of the generator alone, beside hypothesis drawing each row as a dictionary of columns.

Twenty and two hundred columns of all types (numbers, texts, categories, truth values, dates, some optional), default domains.
Ours draws batches of 500 rows; hypothesis draws `st.fixed_dictionaries` of element strategies with the same bounds, one row an
example, its database and shrinking off. Processor time, so that what else the machine does counts for nobody; interleaved in one
run, medians with least and most: at least 50 times as many rows.
"""

import argparse
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from datetime import datetime

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from machine import finish, spread

from mlgate.artifacts.signature import Column, ColumnSchema, DataType
from mlgate.generation.input_space import input_space
from mlgate.policy_properties import InputRule

COLUMNS = (20, 200)
ROWS = 500
GOAL = 50.0
PLANS = ("basic", "pro", "team", "enterprise")
# Ten columns, over and over: kind, rule, whether it is required.
KINDS = (
    (DataType.DOUBLE, None, True),
    (DataType.LONG, None, True),
    (DataType.DOUBLE, InputRule(min=0, max=120), True),
    (DataType.STRING, None, True),
    (DataType.STRING, InputRule(values=PLANS), True),
    (DataType.BOOLEAN, None, True),
    (DataType.INTEGER, InputRule(min=0, max=10), True),
    (DataType.DATETIME, None, True),
    (DataType.FLOAT, None, False),
    (DataType.STRING, InputRule(max_length=40), False),
)


def our_space(columns: int):
    """The input space of so many mixed columns."""
    kinds = [KINDS[place % len(KINDS)] for place in range(columns)]
    schema = ColumnSchema(tuple(Column(f"c{place}", kind, required) for place, (kind, _, required) in enumerate(kinds)))
    rules = {f"c{place}": rule for place, (_, rule, _) in enumerate(kinds) if rule is not None}
    return input_space(schema, rules=rules)


def their_rows(columns: int):
    """The same columns as hypothesis has them."""
    numbers = {DataType.DOUBLE: 64, DataType.FLOAT: 32}

    def one(kind: DataType, rule: InputRule | None) -> st.SearchStrategy:
        if rule is not None and rule.values is not None:
            return st.sampled_from(rule.values)
        low, high = (-1e6, 1e6) if rule is None or rule.min is None else (rule.min, rule.max)
        if kind in numbers:
            return st.floats(low, high, width=numbers[kind])
        if kind in {DataType.LONG, DataType.INTEGER}:
            return st.integers(int(low), int(high))
        if kind is DataType.BOOLEAN:
            return st.booleans()
        if kind is DataType.DATETIME:
            return st.datetimes(datetime(2000, 1, 1), datetime(2031, 12, 31)).map(datetime.isoformat)  # noqa: DTZ001
        return st.text(max_size=300 if rule is None else rule.max_length)

    kinds = [KINDS[place % len(KINDS)] for place in range(columns)]
    drawn = {f"c{place}": one(kind, rule) for place, (kind, rule, _) in enumerate(kinds)}
    return st.fixed_dictionaries(
        {
            name: strategy if kinds[place][2] else st.none() | strategy
            for place, (name, strategy) in enumerate(drawn.items())
        }
    )


def ours(columns: int, rows: int, start: int) -> float:
    """Return rows a second."""
    space = our_space(columns)
    began = time.process_time()
    for place in range(rows // ROWS):
        assert len(space.sample(ROWS, seed=start + place)) == ROWS
    return rows / (time.process_time() - began)


def theirs(columns: int, rows: int, start: int) -> float:
    """Return rows a second."""
    count = 0

    @seed(start)
    @settings(
        max_examples=rows,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(their_rows(columns))
    def draw(row: dict) -> None:
        nonlocal count
        count += len(row) == columns

    began = time.process_time()
    draw()
    return count / (time.process_time() - began)


def main() -> int:
    """Measure, print, and say whether the goal is reached."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer repeats and rows")
    repeats, rows = (3, 5_000) if parser.parse_args().quick else (7, 20_000)
    found, ratios = {}, {}
    print(f"{'columns':>8} {'ours, rows/s':>32} {'hypothesis, rows/s':>28} {'ratio':>7}")
    for columns in COLUMNS:
        mine, others = [], []
        for repeat in range(repeats):
            mine.append(ours(columns, rows * 20 // columns // ROWS * ROWS, repeat * 1000))
            others.append(theirs(columns, 4000 // columns, repeat))
        ratios[columns] = statistics.median(mine) / statistics.median(others)
        found[f"rows_per_s_{columns}"] = round(statistics.median(mine))
        found[f"hypothesis_rows_per_s_{columns}"] = round(statistics.median(others))
        print(f"{columns:>8} {spread(mine, digits=0):>32} {spread(others, digits=0):>28} {ratios[columns]:>7.0f}")
    least = min(ratios.values())
    return finish(
        "generate_rows",
        ratio=least,
        goal=f">= {GOAL:.0f} times hypothesis' dictionaries, at 20 and at 200 columns",
        n=repeats,
        reached=least >= GOAL,
        ratios={str(columns): round(ratio, 1) for columns, ratio in ratios.items()},
        **found,
    )


if __name__ == "__main__":
    sys.exit(main())
