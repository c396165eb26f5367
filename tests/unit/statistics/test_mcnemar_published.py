"""McNemar's exact test against published tables."""

import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar

from mlgate.statistics.paired import mcnemar_exact


def test_the_airway_table_comes_out():
    """Bentur's 21 children in Fagerland, Lydersen and Laake (2013, BMC Med. Res. Methodol. 13:91): b = 1, c = 7.

    Their supplement gives the exact conditional p-value as 2 binomcdf(1, 8, 1/2) = 18 / 256.
    """
    assert mcnemar_exact(1, 7) == pytest.approx(18 / 256, abs=1e-12)


def test_the_approval_ratings_come_out():
    """Agresti, Categorical Data Analysis, table 10.1: 1600 voters asked twice, 794, 150, 86 and 570; z^2 = 17.36."""
    table = [[794, 150], [86, 570]]
    assert mcnemar(table, exact=False, correction=False).statistic == pytest.approx(17.36, abs=5e-3)
    assert mcnemar_exact(86, 150) == pytest.approx(mcnemar(table, exact=True).pvalue, rel=1e-9)
    # The exact p-value and the published statistic's are of one size.
    assert mcnemar_exact(86, 150) == pytest.approx(float(stats.chi2.sf(17.36, 1)), rel=0.25)
