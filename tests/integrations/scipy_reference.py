"""Computes reference statistics of two samples with SciPy, for tests/integrations/compare_stats.rs.

Reads lines of JSON, [baseline, sample], from standard input and writes one object per line.
The confidence interval of the median uses quantiles of the binomial distribution; that of the
Hodges-Lehmann shift inverts SciPy's Mann-Whitney test on shifted samples; that of a share in a
difference searches the shares at which the difference of part - share * whole is just significant.
"""

import json
import math
import sys

import numpy as np
from scipy import optimize, stats


def median_interval(values):
    values = sorted(values)
    n = len(values)
    k = int(stats.binom.ppf(0.025, n, 0.5))
    return [values[k - 1], values[n - k]] if k > 0 else None


def hodges_lehmann(a, b):
    ratios = np.log(np.array(b))[:, None] - np.log(np.array(a))[None, :]
    return math.expm1(float(np.median(ratios)))


def exact_interval(a, b):
    """Returns the range of shifts, as ratios minus one, that the exact test does not reject."""
    differences = np.sort((np.log(b)[:, None] - np.log(a)[None, :]).ravel())
    # With the first k-1 differences below the shift, U is k-1.
    def p(u):
        ranks_below = stats.mannwhitneyu(*of_u(len(a), len(b), u), method="exact")
        return ranks_below.pvalue
    k = 0
    while k <= len(differences) // 2 and p(k) < 0.05:
        k += 1
    return [math.expm1(differences[k - 1]), math.expm1(differences[-k])] if k else None


def of_u(m, n, u):
    """Returns samples of m and n values without ties whose U statistic is u."""
    below = [min(m, max(0, u - m * i)) for i in range(n)]
    return list(range(m)), sorted(c - 0.5 + 0.001 * i for i, c in enumerate(below))


def wholes(parts):
    """Returns wholes of which the values are parts."""
    return [part + 20.0 * (i * 7 % 5) + 0.3 * part for i, part in enumerate(parts)]


def share_interval(a, b, alpha):
    """Returns the range of shares r for which part - r * whole does not differ significantly."""
    (part_a, whole_a), (part_b, whole_b) = [(np.array(x), np.array(wholes(x))) for x in (a, b)]
    welch = stats.ttest_ind(part_b, part_a, equal_var=False)
    critical = stats.t.ppf(1 - alpha / 2, welch.df)

    def beyond(r):
        x, y = part_a - r * whole_a, part_b - r * whole_b
        error = math.sqrt(np.var(x, ddof=1) / len(x) + np.var(y, ddof=1) / len(y))
        return abs(np.mean(y) - np.mean(x)) - critical * error

    whole = np.mean(whole_b) - np.mean(whole_a)
    share = (np.mean(part_b) - np.mean(part_a)) / whole
    error = math.sqrt(np.var(whole_a, ddof=1) / len(a) + np.var(whole_b, ddof=1) / len(b))
    if abs(whole) <= critical * error:
        return None
    bounds = []
    for direction in (-1.0, 1.0):
        step = 1e-3
        while beyond(share + direction * step) <= 0:
            step *= 2
        bound = optimize.brentq(beyond, share, share + direction * step, xtol=1e-14, rtol=1e-14)
        bounds.append(float(bound))
    return bounds


def reference(a, b):
    welch = stats.ttest_ind(b, a, equal_var=False)
    no_ties = len(set(a + b)) == len(a) + len(b)
    exact = no_ties and max(len(a), len(b)) <= 32
    result = {
        "mean": float(np.mean(b)),
        "stddev": float(np.std(b, ddof=1)),
        "median": float(np.median(b)),
        "median_interval": median_interval(b),
        "u": float(stats.mannwhitneyu(b, a).statistic),
        "exact": exact,
        "p_mann_whitney": float(
            stats.mannwhitneyu(b, a, method="exact" if exact else "asymptotic").pvalue
        ),
        "p_welch": float(welch.pvalue),
        "shift": hodges_lehmann(a, b),
        "share_interval": share_interval(a, b, 0.01),
    }
    if exact and len(a) * len(b) <= 150:
        result["shift_interval"] = exact_interval(a, b)
    return result


def main():
    p = []
    for line in sys.stdin:
        a, b = json.loads(line)
        result = reference(a, b)
        p.append(result["p_mann_whitney"])
        print(json.dumps(result))
    print(json.dumps({"holm": holm(p)}))


def holm(p):
    """Holm's correction by definition: the maximum of the corrected p of all p that are not larger."""
    m = len(p)
    order = sorted(range(m), key=p.__getitem__)
    return [
        max(min(1.0, (m - j) * p[order[j]]) for j in range(order.index(i) + 1)) for i in range(m)
    ]


main()
