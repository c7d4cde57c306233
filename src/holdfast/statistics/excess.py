"""Is something more frequent here than there?

Fisher, "On the interpretation of chi-squared from contingency tables, and the calculation of P", Journal of the Royal
Statistical Society 85 (1922).
"""

from scipy.stats import hypergeom

__all__ = ["more_often"]


def more_often(found: int, rows: int, elsewhere: int, rows_elsewhere: int) -> float:
    """The exact one-sided p of "it is no more frequent here than there": small where it is more frequent here.

    Args:
        found: rows here that have it.
        rows: all rows here.
        elsewhere: rows there that have it.
        rows_elsewhere: all rows there.
    """
    return float(hypergeom.sf(found - 1, rows + rows_elsewhere, found + elsewhere, rows))
