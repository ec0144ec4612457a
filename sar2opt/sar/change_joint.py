"""Change between dates told from several polarisations together.

Under reflection symmetry, as of natural ground, co- and cross-polarised speckle is uncorrelated:
the covariance matrix is block diagonal, and the likelihood ratio of "the same at all dates" is the
product of those of its blocks (K. Conradsen, A. A. Nielsen and H. Skriver, Determining the points
of change in time series of polarimetric SAR data, IEEE TGRS 54(5), 2016). Each polarisation has a
test fitted to it, for their looks differ; the p-values are joined by the statistic of R. A. Fisher,
``-2 sum(ln p)``. What ground does by nature, it does in all polarisations at once, and then that
statistic has a longer tail than chi-squared: scale and degrees of freedom are taken from the
scenes themselves, by median and upper quartile, after M. B. Brown, A method for combining
non-independent, one-sided tests of significance, Biometrics 31(4), 1975.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import gammaincc, gammaincinv

from sar2opt.sar.change import Change, ChangeTest, Power, fit_change_test
from sar2opt.sar.change_statistics import Floats, Integers, gamma_tail, joint_latest_change

_UPPER = 0.95  # quantile
_STRIP = 128  # rows that are tested at a time
_TINY = 1e-300  # no smaller p-value is told apart


@dataclass(frozen=True)
class JointTest:
    """Tests of the same dates in several polarisations, as one; see the head of the module."""

    tests: tuple[ChangeTest, ...]
    scale: float = 2.0  # of Fisher's statistic: 2 and one more degree each, were they independent
    shape: float = 2.0  # half its degrees of freedom

    @property
    def margin(self) -> int:
        """How many pixels around it a pixel looks at."""
        return self.tests[0].margin

    @property
    def window(self) -> int:
        """Side of the windows, pixels."""
        return self.tests[0].window

    @property
    def level_db(self) -> float:
        """Mean over the polarisations of the median of the newest date, dB."""
        return float(np.mean([test.level_db for test in self.tests]))

    def __call__(self, series: Power) -> Change:
        """Test linear power ``(polarisation, date, y, x)``, NaN where there is no data.

        Tested is what all polarisations can. ``before`` and ``after`` are geometric means over the
        polarisations: their ratio is the mean change in dB. The date is the likeliest for all.
        """
        tops = range(0, max(series.shape[2], 1), _STRIP)
        parts = zip(*(self._strip(series, top) for top in tops), strict=True)
        return Change(*map(np.concatenate, parts))

    def _strip(self, series: Power, top: int) -> Change:
        """Test some rows from ``top`` on: so memory does not grow with dates times pixels."""
        first = max(top - self.margin, 0)
        part = series[:, :, first : top + _STRIP + self.margin]
        p = joint_p(self._statistic(part), self.scale, self.shape)
        since, before, after = self._latest(part)
        rows = slice(top - first, top - first + _STRIP)
        since = np.where(np.isfinite(p), since, 0)
        return Change(p[rows], since[rows], before[rows], after[rows])

    def _statistic(self, series: Power) -> Floats:
        """Return Fisher's statistic of each pixel."""
        values = (
            np.maximum(test(one).p, _TINY) for test, one in zip(self.tests, series, strict=True)
        )
        return np.asarray(-2 * sum(np.log(p) for p in values))

    def _latest(self, series: Power) -> tuple[Integers, Floats, Floats]:
        means = [test.means(one) for test, one in zip(self.tests, series, strict=True)]
        since, before, after = joint_latest_change(means, [test.looks for test in self.tests])
        levels = []
        for powers in (before, after):
            logs = [
                np.log(np.maximum(power - test.noise, test.floor))
                for test, power in zip(self.tests, powers, strict=True)
            ]
            levels.append(np.asarray(np.exp(np.mean(logs, axis=0))))
        return since, levels[0], levels[1]


def joint_p(statistic: Floats, scale: float = 2.0, shape: float = 2.0) -> Floats:
    """Return the p-value of Fisher's statistic: ``scale`` times a gamma variate of this shape.

    For n independent tests scale is 2 and shape n.
    """
    return np.asarray(gammaincc(shape, statistic / scale))


def fit_joint_test(samples: Sequence[Power], window: int = 3, speckle: float = 4.4) -> JointTest:
    """Fit a test to samples ``(date, y, x)`` of the same ground, one of each polarisation.

    Raises what ``fit_change_test`` does.
    """
    tests = tuple(fit_change_test(sample, window, speckle) for sample in samples)
    number = float(len(tests))
    seen = JointTest(tests)._statistic(np.stack(samples))
    seen = seen[np.isfinite(seen)]
    if seen.size == 0:
        return JointTest(tests, 2.0, number)
    median, upper = (float(value) for value in np.quantile(seen, (0.5, _UPPER)))
    ratio, most, least = upper / median, gamma_tail(number, _UPPER), gamma_tail(1.0, _UPPER)
    if ratio <= most:
        shape = number
    elif ratio >= least:  # as of a single test: they say all the same
        shape = 1.0
    else:
        shape = float(brentq(lambda shape: gamma_tail(shape, _UPPER) - ratio, 1.0, number))
    # never below that of independent tests, which errs on the side of caution
    return JointTest(tests, max(2.0, median / float(gammaincinv(shape, 0.5))), shape)
