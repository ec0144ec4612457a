"""Looks: how many of them a scene has, and more of them from fewer pixels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter1d
from scipy.optimize import brentq
from scipy.special import digamma

from sar2opt.errors import ConfigError, SceneError

Power = npt.NDArray[np.float32]

BLOCK = 8  # pixels; the speckle of detected products is correlated over one or two
_FEWEST_BLOCKS = 30
_MOST_LOOKS = 1e5
_SPECTRUM = 512  # points over the spectrum of complex samples
_BIN, _WIDTH = 0.02, 0.1  # of the histogram of ln q, and of the kernel that smooths it


def estimate_looks(power: Power) -> float:
    """Return the equivalent number of looks of ``power`` ``(..., y, x)``, from the scene itself.

    In blocks of 8 x 8 valid pixels, ``q = ln(mean) - mean(ln)`` measures how uneven a block is,
    whatever its level. Speckle alone, gamma distributed and without correlation, gives ``q`` a
    mean that depends on the number of looks only; texture and edges add to it, each block by
    another amount. So the commonest ``q`` is that of speckle: the mode of the estimates of small
    blocks, taken of ``ln q``, whose mode lies at the mean of ``q`` (that is a scaled chi-squared
    variate, by Bartlett). The estimator of maximum likelihood and its mode over a scene are those
    of S. N. Anfinsen, A. P. Doulgeris and T. Eltoft, Estimation of the equivalent number of looks
    in polarimetric synthetic aperture radar imagery, IEEE TGRS 47(11), 2009, for one channel.

    Correlation between neighbours hides some of the speckle: the estimate is then too high, by
    some 5 to 15 % in products of Sentinel-1. Raises ``SceneError`` where there are too few blocks.
    """
    blocks = _valid_blocks(power)
    uneven = np.log(blocks.mean(axis=1)) - np.log(blocks).mean(axis=1)
    uneven = uneven[uneven > 1e-9]  # a filled area has no speckle
    if uneven.size < _FEWEST_BLOCKS:
        raise SceneError(
            f"there are too few blocks of {BLOCK} x {BLOCK} valid pixels to estimate the number of "
            "looks from: give it (--looks N; 4.4 for Sentinel-1 IW GRD)"
        )
    wanted, size = _mode(uneven), BLOCK * BLOCK

    def excess(ln_looks: float) -> float:
        looks = np.exp(ln_looks)
        expected = digamma(size * looks) - np.log(size) - digamma(looks)
        return float(expected - wanted)

    lowest, highest = np.log(0.01), np.log(_MOST_LOOKS)
    if excess(highest) > 0:
        return _MOST_LOOKS
    return float(np.exp(brentq(excess, lowest, highest)))


def effective_looks(samples: int, share: float, coefficient: float = 1.0) -> float:
    """Return the looks of the mean intensity of so many neighbouring complex samples.

    Their spectrum is a Hamming window of ``coefficient`` (1 is flat) over a ``share`` of the
    sampling frequency, 0 < share <= 1; the less of it, the more alike are neighbours. Intensities
    are correlated by the squared coherence of speckle, so that the looks are
    ``n^2 / sum(coherence(i - j)^2)`` (Oliver and Quegan, 2004, ch. 4.8).
    """
    across = (np.arange(_SPECTRUM) + 0.5) / _SPECTRUM - 0.5
    density = (coefficient + (1 - coefficient) * np.cos(2 * np.pi * across)) ** 2
    lag = np.arange(-samples + 1, samples)
    coherence = np.cos(2 * np.pi * share * lag[:, None] * across) @ density / density.sum()
    return float(samples**2 / np.sum((samples - np.abs(lag)) * coherence**2))


def multilook(power: Power, side: int) -> Power:
    """Return the means of the valid pixels of ``power`` ``(..., y, x)`` in blocks of ``side``.

    The result is ``(..., y // side, x // side)``: what is left over at the bottom and on the right
    is dropped. A block without valid pixels is NaN. Blocks are summed in an order that does not
    depend on the size of the array. Raises ``ConfigError`` if ``side`` is not positive.
    """
    if side < 1:
        raise ConfigError(f"the side of a multilook block is {side}: it must be 1 or more pixels")
    rows, cols = (size // side * side for size in power.shape[-2:])
    whole = power[..., :rows, :cols]
    valid = np.isfinite(whole)
    total = _block_sums(np.where(valid, whole, np.float32(0)).astype(np.float64), side)
    count = _block_sums(valid.astype(np.float64), side)
    mean = np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)
    return mean.astype(np.float32)


def _block_sums(values: npt.NDArray[np.float64], side: int) -> npt.NDArray[np.float64]:
    tall = sum((values[..., row::side, :] for row in range(1, side)), values[..., ::side, :])
    return sum((tall[..., col::side] for col in range(1, side)), tall[..., ::side])


def _valid_blocks(power: Power) -> npt.NDArray[np.float64]:
    """Return the blocks whose pixels are all valid and above 0, as ``(block, pixel)``."""
    rows, cols = (size // BLOCK for size in power.shape[-2:])
    planes = int(np.prod(power.shape[:-2]))
    whole = power[..., : rows * BLOCK, : cols * BLOCK].reshape(planes, rows, BLOCK, cols, BLOCK)
    blocks = whole.swapaxes(2, 3).reshape(-1, BLOCK * BLOCK)
    return blocks[(np.isfinite(blocks) & (blocks > 0)).all(axis=1)].astype(np.float64)


def _mode(values: npt.NDArray[np.float64]) -> float:
    """Return where the density of ``ln values`` is highest, as one of ``values``."""
    logs = np.log(values)
    edges = np.arange(logs.min() - 5 * _WIDTH, logs.max() + 5 * _WIDTH, _BIN)
    density = gaussian_filter1d(np.histogram(logs, edges)[0].astype(np.float64), _WIDTH / _BIN)
    return float(np.exp(edges[np.argmax(density)] + _BIN / 2))
