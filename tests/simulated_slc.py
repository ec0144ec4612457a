"""A simulated Sentinel-1 SLC product, IW, EW or stripmap: bursts, sub-swaths, complex speckle.

All of it lies on one lattice of lines and samples, seen from a circular orbit. What the annotation
calls invalid holds a glaring value, where products hold zeros: one such sample that is taken for an
echo shows.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import simulated_radar as radar
import simulated_safe as s1

from sar2opt.sar.orbit import RangeDoppler

CENTRE = (11.0, 45.0)
SWATHS = {"IW": 3, "EW": 5}  # sub-swaths of TOPS
_INTERVAL = {"IW": 2.0555563e-3, "EW": 2.9429e-3, "S4": 2.0555563e-3 / 3}  # seconds
_METRES = {"IW": 13.9, "EW": 19.9, "S4": 13.9 / 3}  # the same along the ground
_RATE = {"IW": 6.434523812571428e7, "EW": 2.502314816e7, "S4": 6.434523812571428e7}  # hertz
BURSTS, LINES, PERIOD = 3, 150, 120  # of a sub-swath: bursts, their lines, from one to the next
SAMPLES, REACH, STAGGER = 400, 340, 40  # of a sub-swath; samples and lines from one to the next
FAR = (360, 500)  # lines and samples of stripmap
GLARE = 30_000 * (1 + 1j)
_EPOCH = np.datetime64("2021-08-09T17:39:53.100000")
_FIRST_BAD, _LAST_BAD = 6, 9  # lines of a burst
_ROOT = "S1A_{}_SLC__1SDV_20210809T173953_20210809T174018_039156_049F13_6FF8"

Power = Callable[[Any, Any], Any]


def extent(mode: str = "IW") -> tuple[int, int]:
    """Return lines and samples of the lattice; stripmap lies in that of IW."""
    more = SWATHS.get(mode, 3) - 1
    return STAGGER * more + PERIOD * (BURSTS - 1) + LINES, REACH * more + SAMPLES


def step(mode: str = "IW") -> float:
    """Return metres from sample to sample."""
    return 299_792_458.0 / 2 / _RATE[mode]


def model(mode: str = "IW") -> RangeDoppler:
    """Return the geometry of the lattice: slant range."""
    wide = radar.radar_over(*CENTRE)
    line, pixel = (float(axis) for axis in wide.locate(*map(np.array, CENTRE), 0.0))
    lines, samples = extent(mode)
    time = wide.first_time + line * wide.line_interval - _INTERVAL[mode] * lines / 2
    reach = wide.first_range + pixel * wide.pixel_spacing - step(mode) * samples / 2
    return RangeDoppler(wide.orbit, time, _INTERVAL[mode], reach, step(mode))


def height(line: Any, sample: Any, relief: float) -> Any:
    """Return the height of the ground, metres: a slope, which a grid of few points knows too."""
    lines, samples = extent()
    return relief * (0.2 + 0.4 * line / lines + 0.4 * sample / samples)


def valid(burst: int) -> tuple[int, int]:
    """Return the first and the last valid sample of a burst."""
    return 12 + 3 * burst, SAMPLES - 16 - 2 * burst


def write_slc(
    folder: Path,
    power: Power,
    *,
    mode: str = "IW",
    bands: tuple[str, ...] = ("vv",),
    speckle: bool = True,
    relief: float = 0.0,
    calibrated: bool = False,
    cut: slice = slice(0, FAR[0]),
) -> Path:
    """Write a product whose samples have the expected ``power(line, sample)`` of the lattice.

    ``calibrated`` power is gamma nought, to which thermal noise is added; else it is that of the
    digital numbers. ``cut`` is the lines of a slice of stripmap. Returns the ``.SAFE`` folder.
    """
    safe = folder / f"{_ROOT.format(mode)}_{cut.start}.SAFE"
    for part in ("annotation/calibration", "measurement"):
        (safe / part).mkdir(parents=True)
    names = [f"{mode}{number + 1}" for number in range(SWATHS[mode])] if mode in SWATHS else [mode]
    swaths = [name.lower() for name in names]
    for number, (band, swath) in enumerate((b, s) for b in bands for s in swaths):
        stem = f"s1a-{swath}-slc-{band}-20210809t173953-20210809t174018-039156-049f13-00{number}"
        index = swaths.index(swath)
        scaled = _scaled if calibrated else _unscaled
        rng = np.random.default_rng(number) if speckle else None
        stored = _numbers(lambda *at, scale=scaled: scale(power, *at), index, rng, mode, cut)
        lines, samples = stored.shape
        (safe / f"annotation/{stem}.xml").write_text(
            annotation(swath, index, band, mode, relief, cut)
        )
        place = safe / "annotation/calibration"
        (place / f"calibration-{stem}.xml").write_text(s1.calibration((lines, samples)))
        (place / f"noise-{stem}.xml").write_text(s1.noise_xml((lines, samples)))
        s1.write_numbers(safe / f"measurement/{stem}.tiff", stored)
    return safe


def tops(index: int) -> list[int]:
    """Return the lines of the lattice at which the bursts of a sub-swath begin."""
    return [index * STAGGER + burst * PERIOD for burst in range(BURSTS)]


def _unscaled(power: Power, line: Any, sample: Any, row: Any, col: Any) -> Any:
    return power(line, sample)


def _scaled(power: Power, line: Any, sample: Any, row: Any, col: Any) -> Any:
    return power(line, sample) * s1.gain(row, col) ** 2 + s1.noise(row, col)


def _numbers(power: Any, index: int, rng: Any, mode: str, cut: slice) -> Any:
    """Return the complex samples of a sub-swath; power of lattice and raster positions."""
    if mode not in SWATHS:
        line, sample = np.mgrid[cut, : FAR[1]]
        return _echo(power(line, sample, line - cut.start, sample), rng)
    stored = np.full((BURSTS * LINES, SAMPLES), GLARE, np.complex64)
    for burst, top in enumerate(tops(index)):
        first, last = valid(burst)
        good = slice(_FIRST_BAD, LINES - _LAST_BAD)
        row, col = np.mgrid[good, first : last + 1]
        here = power(row + top, col + index * REACH, row + burst * LINES, col)
        echo = _echo(here, rng)
        stored[burst * LINES : (burst + 1) * LINES][good, first : last + 1] = echo
    return stored


def _echo(power: Any, rng: Any) -> Any:
    part = np.ones((2, *power.shape)) if rng is None else rng.normal(size=(2, *power.shape))
    real, imaginary = np.rint(part * np.sqrt(power / 2))
    return (real + 1j * imaginary).astype(np.complex64)


def annotation(swath: str, index: int, band: str, mode: str, relief: float, cut: slice) -> str:
    """Return the annotation of a sub-swath: the fields that are read."""
    tall = cut.stop - cut.start
    lines, samples = (BURSTS * LINES, SAMPLES) if mode in SWATHS else (tall, FAR[1])
    starts = tops(index) if mode in SWATHS else []
    near = (model(mode).first_range + index * REACH * step(mode)) * 2 / 299_792_458.0
    return (
        "<product><adsHeader><missionId>S1A</missionId><productType>SLC</productType>"
        f"<polarisation>{band.upper()}</polarisation><mode>{mode}</mode>"
        f"<swath>{swath.upper()}</swath><startTime>{_EPOCH}</startTime><stopTime>"
        "2021-08-09T17:40:18.1</stopTime><absoluteOrbitNumber>39156</absoluteOrbitNumber>"
        "<missionDataTakeId>302867</missionDataTakeId></adsHeader><generalAnnotation>"
        "<productInformation><pass>Ascending</pass><projection>Slant Range</projection>"
        f"<rangeSamplingRate>{_RATE[mode]:.15e}</rangeSamplingRate></productInformation>"
        f"<orbitList>{_orbit(mode)}</orbitList></generalAnnotation><imageAnnotation><imageInformation>"
        f"<productFirstLineUtcTime>{_time([*starts, cut.start][0], mode)}</productFirstLineUtcTime>"
        f"<slantRangeTime>{near:.15e}</slantRangeTime><rangePixelSpacing>{step(mode):.6f}"
        f"</rangePixelSpacing><azimuthPixelSpacing>{_METRES[mode]}</azimuthPixelSpacing>"
        f"<azimuthTimeInterval>{model(mode).line_interval:.15e}</azimuthTimeInterval>"
        f"<numberOfSamples>{samples}</numberOfSamples><numberOfLines>{lines}</numberOfLines>"
        "</imageInformation><processingInformation><swathProcParamsList><swathProcParams>"
        f"{_processing('range', _RATE[mode])}"
        f"{_processing('azimuth', 1 / model(mode).line_interval)}"
        "</swathProcParams></swathProcParamsList></processingInformation></imageAnnotation>"
        f"<swathTiming><linesPerBurst>{LINES if starts else 0}</linesPerBurst>"
        f"<burstList>{''.join(_burst(*one, mode) for one in enumerate(starts))}</burstList>"
        "</swathTiming><geolocationGrid><geolocationGridPointList>"
        f"{_points(index, starts, (lines, samples), model(mode), relief, cut.start)}"
        "</geolocationGridPointList></geolocationGrid></product>"
    )


def _time(line: float, mode: str = "IW", seconds: float = 0.0) -> str:
    """Return the time of a line of the lattice, to the microsecond as products have it."""
    return str(_EPOCH + np.timedelta64(round((line * _INTERVAL[mode] + seconds) * 1e6), "us"))


def _processing(axis: str, bandwidth: float) -> str:
    return (
        f"<{axis}Processing><windowCoefficient>1.0</windowCoefficient><totalBandwidth>"
        f"{bandwidth:.9e}</totalBandwidth><numberOfLooks>1</numberOfLooks></{axis}Processing>"
    )


def _burst(burst: int, top: int, mode: str) -> str:
    ends = []
    for sample in valid(burst):
        line = np.full(LINES, sample)
        line[:_FIRST_BAD] = line[LINES - _LAST_BAD :] = -1
        ends.append(" ".join(map(str, line)))
    return (
        f"<burst><azimuthTime>{_time(top, mode)}</azimuthTime><firstValidSample>{ends[0]}"
        f"</firstValidSample><lastValidSample>{ends[1]}</lastValidSample></burst>"
    )


def _orbit(mode: str) -> str:
    geometry, states = model(mode), []
    orbit = geometry.orbit
    for time, position, velocity in zip(orbit.time, orbit.position, orbit.velocity, strict=True):
        vectors = "".join(
            f"<{name}>" + "".join(f"<{a}>{v:.9e}</{a}>" for a, v in zip("xyz", of, strict=True))
            + f"</{name}>" for name, of in (("position", position), ("velocity", velocity))
        )  # fmt: skip
        at = _time(0, seconds=float(time) - geometry.first_time)
        states.append(f"<orbit><time>{at}</time>{vectors}</orbit>")
    return "".join(states)


def _points(
    index: int,
    starts: list[int],
    extent: tuple[int, int],
    seen: RangeDoppler,
    relief: float,
    first: int,
) -> str:
    """Return a geolocation grid: at the first line of each burst and at the last line of all."""
    lines, samples = extent
    own = [*(burst * LINES for burst in range(len(starts))), lines - 1]
    lattice = [*starts, (starts[-1] + LINES - 1) if starts else lines - 1]
    if not starts:
        own = [0, lines // 2, lines - 1]
        lattice = [first + line for line in own]
    pixels = np.linspace(0, samples - 1, 6).astype(int)
    line, sample = np.meshgrid(lattice, pixels + index * REACH, indexing="ij")
    up = height(line, sample, relief)
    lon, lat = radar.place_on(seen, CENTRE, line, sample, up)
    sight, above = seen.sight(lon, lat, up), radar.earth_fixed
    cosine = np.sum((above(lon, lat, 1.0) - above(lon, lat, 0.0)) * sight, axis=-1)
    table = np.stack([lon, lat, up, np.degrees(np.arccos(cosine))], axis=-1)
    return "".join(
        "<geolocationGridPoint>"
        f"<line>{own[i]}</line><pixel>{pixels[j]}</pixel><latitude>{table[i, j, 1]:.12f}</latitude>"
        f"<longitude>{table[i, j, 0]:.12f}</longitude><height>{table[i, j, 2]:.6f}</height>"
        f"<incidenceAngle>{table[i, j, 3]:.12f}</incidenceAngle></geolocationGridPoint>"
        for i in range(len(own)) for j in range(pixels.size)
    )  # fmt: skip
