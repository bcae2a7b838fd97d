"""Computes the statistics of a trial with SciPy, for tests/integrations/trial_stats.rs.

Reads lines of JSON, the logarithms of the ratios in each block, from standard input and writes one
object per line. Follows the definitions in src/trial/analysis, not their code: the limits of the
interval are roots of the wealth, and nothing is computed incrementally.
"""

import json
import math
import sys

import numpy as np
from scipy import optimize, special, stats

FRACTIONS = (np.arange(20) + 0.5) / 20


def scale(before):
    """Returns twice the median absolute deviation of the earlier values; 0 for fewer than three."""
    if len(before) < 3:
        return 0.0
    return 2 * np.quantile(np.abs(before - np.median(before)), 0.5, method="lower")


def scores(values, center):
    scales = [scale(values[:block]) for block in range(len(values))]
    from_center = values - center
    return np.array(
        [np.clip(d / s, -1, 1) if s > 0 else np.sign(d) for d, s in zip(from_center, scales)]
    )


def log_wealth(values, center, side):
    bets = 1 + side * np.outer(FRACTIONS, scores(values, center))
    return special.logsumexp(np.log(bets).sum(axis=1)) - math.log(len(FRACTIONS))


def autocorrelation_time(values):
    n = len(values)
    if n < 4 or np.ptp(values) == 0:
        return 1.0
    ranks = stats.rankdata(values) - (n + 1) / 2
    of_ranks = np.dot(ranks[1:], ranks[:-1]) / np.dot(ranks, ranks)
    unbiased = (2 * math.sin(math.pi / 6 * of_ranks) + 1 / n) / (1 - 3 / n)
    r = min(max(unbiased + 0.5 / math.sqrt(n), 0.0), 0.95)
    return (1 + r) / (1 - r)


def interval(values, log_limit):
    far = 10 * (1 + np.abs(values).max())
    excess = lambda center, side: log_wealth(values, center, side) - log_limit
    if excess(-far, 1) < 0 or excess(far, -1) < 0:
        return None
    return [
        optimize.brentq(excess, -far, far, args=(side,), xtol=1e-13, rtol=1e-13)
        for side in (1, -1)
    ]


def reference(values, family):
    values = np.array(values)
    time = autocorrelation_time(values)
    limits = interval(values, math.log(2 * family / 0.05) * time)
    return {
        "time": time,
        "log_wealth": [float(log_wealth(values, 0.005, side)) for side in (1, -1)],
        "change": limits and [math.expm1(limit) for limit in limits],
    }


for line in sys.stdin:
    print(json.dumps(reference(*json.loads(line))))
