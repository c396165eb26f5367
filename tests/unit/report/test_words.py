"""What the report says of checks."""

import re
from pathlib import Path

from mlgate.report.words import MEANINGS

SUITES = Path(__file__).parents[3] / "suites" / "mlgate_suites"


def test_every_check_says_what_it_means():
    """A release manager does not know the ids."""
    found = {
        name
        for path in SUITES.glob("*.py")
        for name in re.findall(r'(?:mlgate_check\(|CheckResult\(id=)"([a-z_0-9.]+)"', path.read_text())
    }
    assert len(found) > 30
    assert sorted(found - MEANINGS.keys()) == []
