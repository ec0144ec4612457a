"""Numbers to linear power and back, and what the numbers of an unlabelled scene mean.

====================  ==========================================================================
scale                 a value ``v`` stands for the power
====================  ==========================================================================
``power``             ``v``
``amplitude``         ``v ** 2``
``dB``                ``10 ** (v / 10)``
``display-amplitude`` ``(v / 255) ** 2``: 8 bit, proportional to amplitude, level unknown
``display-dB``        ``10 ** ((v / 255 - 1) * 25 / 10)``: 8 bit; 0 to 255 is assumed to span
                      25 dB (``DISPLAY_SPAN_DB``), as in SEN1-2; 255 is put at 0 dB, level unknown
====================  ==========================================================================

How an unlabelled scale is told. Speckle multiplies power by a gamma variate of unit mean (Ulaby
and Dobson, 1989; Oliver and Quegan, 2004, ch. 4). In small windows, where the scene hardly
changes, its skewness over its coefficient of variation is 2 for power, about 1 for amplitude
and negative for dB, whatever the number of looks; texture pushes the first two up.

- Values below zero are dB.
- 8 bit: that ratio alone, since the level says nothing.
- Larger integers are amplitudes (the digital numbers of GRD products), if they are speckled.
- Other floats: four witnesses (level, spread, looks, that ratio) are weighed as log-odds of
  power against amplitude, each with the spread that it has over real Sentinel-1 data.

When the witnesses disagree, nothing is guessed: ``UnitsError`` says to give ``--scale``. Float
power of more than 20 looks and float amplitude of a single look are where they can all err.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sar2opt.errors import UnitsError

Power = npt.NDArray[np.float32]
Values = npt.NDArray[np.floating[Any]] | npt.NDArray[np.integer[Any]]

DISPLAY_SPAN_DB = 25.0
KNOWN_SCALES = ("power", "amplitude", "dB", "display-amplitude", "display-dB")

_CURE = "say what they are with --scale power, amplitude, dB, display-amplitude or display-dB"
_WINDOW = 8  # pixels; small enough to be homogeneous, large enough for a third moment
_FEWEST_WINDOWS = 20
_SMOOTHEST = 0.03  # CV; terrain models lie below, SAR of 300 looks above
_DISPLAY_DB_BELOW, _DISPLAY_AMPLITUDE_ABOVE = 0.4, 0.6  # skewness / CV
_LEAST_LOG_ODDS = 1.0
_MOST_OF_ONE_WITNESS = 3.0  # log-odds, so that no single witness decides against all others
_NOISE_SUBTRACTED = 0.2  # share of negative power that noise subtraction can leave over calm sea
_AMPLITUDE_CV = 0.5227  # of Rayleigh speckle: sqrt(4 / pi - 1)

# (mean, standard deviation) over products whose scale is known: OPERA RTC, TerraMesh RTC, Earth
# Engine GRD, GAMMA and eo_tools; looks and ratio also over simulated speckle of 1 to 20 looks.
_WITNESSES = {
    #               level in dB   ln(spread in dB)     ln(looks)           skewness / CV
    "power": ((-15.0, 7.0), (np.log(13.0), 0.35), (np.log(5.0), 0.9), (2.1, 0.4)),
    "amplitude": ((-8.0, 3.5), (np.log(7.5), 0.35), (np.log(5.0), 0.9), (1.6, 0.5)),
}


class Speckle(NamedTuple):
    """Speckle in small windows: coefficient of variation, and skewness over it."""

    cv: float
    ratio: float


def to_power(values: Values, scale: str) -> Power:
    """Return linear power, float32, of ``values`` in ``scale`` (any shape).

    NaN stays NaN. Power and amplitude below zero, which noise subtraction leaves, become 0; what
    float32 cannot hold becomes NaN. Raises ``UnitsError`` for a scale not in ``KNOWN_SCALES``.
    """
    numbers: Power = np.asarray(values, dtype=np.float32)
    span = np.float32(DISPLAY_SPAN_DB)
    with np.errstate(over="ignore"):
        match scale:
            case "power":
                power: Power = np.maximum(numbers, np.float32(0))
            case "amplitude":
                power = np.square(np.maximum(numbers, np.float32(0)))
            case "dB":
                power = _undo_db(numbers)
            case "display-amplitude":
                power = np.square(numbers * np.float32(1 / 255))
            case "display-dB":
                power = _undo_db(numbers * (span / np.float32(255)) - span)
            case _:
                known = ", ".join(KNOWN_SCALES)
                raise UnitsError(f"unknown scale '{scale}': choose one of {known}")
    power[np.isinf(power)] = np.nan
    return power


def to_db(power: Power, floor: float = 1e-5) -> Power:
    """Return ``10 log10(power)``, float32, with power below ``floor`` (linear) raised to it.

    The default floor, -50 dB, is well below the noise of any spaceborne SAR. NaN stays NaN.
    """
    raised = np.maximum(np.asarray(power, dtype=np.float32), np.float32(floor))
    decibel: Power = np.log10(raised) * np.float32(10)
    return decibel


def infer_scale(sample: Values, dtype: npt.DTypeLike) -> tuple[str, str]:
    """Return the scale of ``sample`` and a sentence that says why, from statistics alone.

    ``sample`` is ``(..., y, x)``, pixels at full resolution (averaging would spoil the speckle),
    NaN or infinite where there is no data; ``dtype`` is that of the file. Raises ``UnitsError``
    when the scale cannot be told.
    """
    numbers = np.asarray(sample, dtype=np.float64)
    valid = numbers[np.isfinite(numbers)]
    if valid.size == 0:
        raise UnitsError(f"there is no valid pixel to tell the units from: {_CURE}")
    if np.mean(valid < 0) > 0.01:
        return _infer_below_zero(valid)
    speckle = measure_speckle(numbers)
    whole = np.issubdtype(np.dtype(dtype), np.integer) or bool(np.all(valid == np.rint(valid)))
    eight_bit = np.dtype(dtype) == np.uint8 or np.issubdtype(np.dtype(dtype), np.floating)
    if whole and eight_bit and valid.max() <= 255:
        return _infer_display(speckle)
    if whole:
        return _infer_integer(valid, speckle)
    return _infer_float(valid, speckle)


def check_scale(sample: Values, scale: str) -> None:
    """Raise ``UnitsError`` if values such as ``sample`` (any shape) cannot be in ``scale``."""
    numbers = np.asarray(sample, dtype=np.float64)
    valid = numbers[np.isfinite(numbers)]
    if valid.size == 0:
        return
    low, high = np.quantile(valid, [0.01, 0.99])
    lowest = valid.min()
    if lowest < -200:
        raise UnitsError(
            f"values go down to {lowest:g}, which no SAR measures: if that means no data, "
            f"say --nodata {lowest:g}; else {_CURE}"
        )
    if scale == "dB":
        if high > 100:
            raise UnitsError(
                f"1 % of values are above {high:.0f}, which is too much for dB: {_CURE}"
            )
    elif np.mean(valid < 0) > _NOISE_SUBTRACTED or np.median(valid) < 0:
        raise UnitsError(
            f"{np.mean(valid < 0):.0%} of values are negative, so they cannot be {scale}: "
            "they look like dB (--scale dB)"
        )
    if scale not in ("power", "amplitude") and high - low < 1:
        raise UnitsError(f"values span only {high - low:.2g}, too little for {scale}: {_CURE}")
    if scale.startswith("display") and valid.max() > 255:
        raise UnitsError(f"values go up to {valid.max():g}, above the 255 of {scale}: {_CURE}")


def measure_speckle(sample: Values) -> Speckle:
    """Measure speckle in windows of 8 x 8 pixels of ``sample`` ``(..., y, x)``.

    The coefficient of variation is the lower quartile over windows, since texture and edges only
    raise it; the skewness is the median. Raises ``UnitsError`` below 20 fully valid windows.
    """
    numbers = np.asarray(sample, dtype=np.float64)
    rows, cols = (size // _WINDOW for size in numbers.shape[-2:])
    if not rows * cols:
        raise UnitsError(f"the scene is too small to tell its units: {_CURE}")
    tiles = numbers[..., : rows * _WINDOW, : cols * _WINDOW].reshape(
        -1, rows, _WINDOW, cols, _WINDOW
    )  # (n, row, 8, col, 8)
    windows = tiles.transpose(0, 1, 3, 2, 4).reshape(-1, _WINDOW * _WINDOW)
    windows = windows[np.isfinite(windows).all(axis=1) & (windows > 0).all(axis=1)]
    mean, deviation = windows.mean(axis=1), windows.std(axis=1)
    rough = deviation > 1e-9 * mean  # a filled area has no speckle
    if np.count_nonzero(rough) < _FEWEST_WINDOWS:
        raise UnitsError(f"there are too few valid pixels to tell their units: {_CURE}")
    windows, mean, deviation = windows[rough], mean[rough], deviation[rough]
    skewness = np.mean(((windows - mean[:, None]) / deviation[:, None]) ** 3, axis=1)
    cv = float(np.quantile(deviation / mean, 0.25))
    return Speckle(cv, float(np.median(skewness)) / cv)


def _undo_db(decibel: Power) -> Power:
    power: Power = np.exp(decibel * np.float32(np.log(10) / 10))
    return power


def _infer_below_zero(valid: npt.NDArray[np.float64]) -> tuple[str, str]:
    low, median, high = np.quantile(valid, [0.01, 0.5, 0.99])
    if -np.pi - 1e-3 <= valid.min() < -3 and 3 < valid.max() <= np.pi + 1e-3:
        raise UnitsError(f"values fill -pi to pi, which looks like a phase, not SAR: {_CURE}")
    if median >= 0:
        raise UnitsError(f"values are of both signs with median {median:.3g}: {_CURE}")
    check_scale(valid, "dB")
    return "dB", f"values are negative (98 % within {low:.1f} to {high:.1f})"


def _infer_display(speckle: Speckle) -> tuple[str, str]:
    seen = f"8-bit values whose speckle has skewness / CV {speckle.ratio:.1f}"
    if speckle.cv >= _SMOOTHEST and speckle.ratio > _DISPLAY_AMPLITUDE_ABOVE:
        return "display-amplitude", f"{seen}, as amplitude has"
    if speckle.cv >= _SMOOTHEST and speckle.ratio < _DISPLAY_DB_BELOW:
        return "display-dB", f"{seen}, as dB has"
    raise UnitsError(
        f"{seen} and CV {speckle.cv:.2f} may be amplitude or dB: "
        "say --scale display-amplitude or --scale display-dB"
    )


def _infer_integer(valid: npt.NDArray[np.float64], speckle: Speckle) -> tuple[str, str]:
    seen = f"integers up to {valid.max():.0f}, speckle CV {speckle.cv:.2f}"
    if speckle.cv < _SMOOTHEST or speckle.ratio < _DISPLAY_DB_BELOW:
        raise UnitsError(f"{seen}: without speckle this does not look like SAR amplitude: {_CURE}")
    return "amplitude", f"{seen}, as the digital numbers of detected products"


def _infer_float(valid: npt.NDArray[np.float64], speckle: Speckle) -> tuple[str, str]:
    low, median, high = np.quantile(valid[valid > 0], [0.01, 0.5, 0.99])
    spread = 10 * np.log10(high / low)
    seen = (
        f"median {median:.3g}, 98 % of values within {spread:.1f} dB, "
        f"speckle CV {speckle.cv:.2f}, skewness / CV {speckle.ratio:.1f}"
    )
    if speckle.cv < _SMOOTHEST or speckle.ratio < _DISPLAY_DB_BELOW:
        raise UnitsError(f"{seen}: this is not the speckle of power or amplitude: {_CURE}")
    log_odds = _log_odds_of_power(float(median), float(spread), speckle)
    if abs(log_odds) < _LEAST_LOG_ODDS:
        raise UnitsError(f"{seen} may be power or amplitude: say --scale power or amplitude")
    scale = "power" if log_odds > 0 else "amplitude"
    return scale, f"{seen}: log-odds {abs(log_odds):.1f} for {scale}"


def _log_odds_of_power(median: float, spread: float, speckle: Speckle) -> float:
    looks = {"power": speckle.cv**-2, "amplitude": (speckle.cv / _AMPLITUDE_CV) ** -2}
    fits = {
        scale: [
            -0.5 * ((value - mean) / deviation) ** 2 - np.log(deviation)
            for value, (mean, deviation) in zip(
                (10 * np.log10(median), np.log(spread), np.log(looks[scale]), speckle.ratio),
                witnesses,
                strict=True,
            )
        ]
        for scale, witnesses in _WITNESSES.items()
    }
    odds = np.subtract(fits["power"], fits["amplitude"])
    if median > 3:  # not calibrated: the level is arbitrary
        odds[0] = 0
    return float(np.clip(odds, -_MOST_OF_ONE_WITNESS, _MOST_OF_ONE_WITNESS).sum())
