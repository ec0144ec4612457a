"""A simulated Sentinel-1 SLC product, IW or stripmap: bursts, sub-swaths, complex speckle.

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
INTERVAL, STEP = 2.0555563e-3, 299_792_458.0 / 2 / 6.434523812571428e7  # seconds, metres; of IW
BURSTS, LINES, PERIOD = 3, 150, 120  # of a sub-swath: bursts, their lines, from one to the next
SAMPLES, REACH, STAGGER = 400, 340, 40  # of a sub-swath; samples and lines from one to the next
EXTENT = (STAGGER * 2 + PERIOD * (BURSTS - 1) + LINES, REACH * 2 + SAMPLES)  # of the lattice
FAR = (360, 500)  # lines and samples of stripmap
GLARE = 30_000 * (1 + 1j)
_EPOCH = np.datetime64("2021-08-09T17:39:53.100000")
_FIRST_BAD, _LAST_BAD = 6, 9  # lines of a burst
_ROOT = "S1A_{}_SLC__1SDV_20210809T173953_20210809T174018_039156_049F13_6FF8"

Power = Callable[[Any, Any], Any]


def model(mode: str = "IW") -> RangeDoppler:
    """Return the geometry of the lattice: slant range; stripmap has lines three times as dense."""
    wide = radar.radar_over(*CENTRE)
    line, pixel = (float(axis) for axis in wide.locate(*map(np.array, CENTRE), 0.0))
    interval = INTERVAL if mode == "IW" else INTERVAL / 3
    time = wide.first_time + line * wide.line_interval - interval * EXTENT[0] / 2
    reach = wide.first_range + pixel * wide.pixel_spacing - STEP * EXTENT[1] / 2
    return RangeDoppler(wide.orbit, time, interval, reach, STEP)


def height(line: Any, sample: Any, relief: float) -> Any:
    """Return the height of the ground, metres: a slope, which a grid of few points knows too."""
    return relief * (0.2 + 0.4 * line / EXTENT[0] + 0.4 * sample / EXTENT[1])


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
) -> Path:
    """Write a product whose samples have the expected ``power(line, sample)`` of the lattice.

    ``calibrated`` power is gamma nought, to which thermal noise is added; else it is that of the
    digital numbers. Returns the ``.SAFE`` folder.
    """
    safe = folder / f"{_ROOT.format(mode)}.SAFE"
    for part in ("annotation/calibration", "measurement"):
        (safe / part).mkdir(parents=True)
    swaths = ("iw1", "iw2", "iw3") if mode == "IW" else (mode.lower(),)
    for number, (band, swath) in enumerate((b, s) for b in bands for s in swaths):
        stem = f"s1a-{swath}-slc-{band}-20210809t173953-20210809t174018-039156-049f13-00{number}"
        index = swaths.index(swath)
        scaled = _scaled if calibrated else _unscaled
        rng = np.random.default_rng(number) if speckle else None
        stored = _numbers(lambda *at, scale=scaled: scale(power, *at), index, rng, mode)
        lines, samples = stored.shape
        (safe / f"annotation/{stem}.xml").write_text(annotation(swath, index, band, mode, relief))
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


def _numbers(power: Any, index: int, rng: Any, mode: str) -> Any:
    """Return the complex samples of a sub-swath; power of lattice and raster positions."""
    if mode != "IW":
        at = np.mgrid[: FAR[0], : FAR[1]]
        return _echo(power(*at, *at), rng)
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


def annotation(swath: str, index: int, band: str, mode: str, relief: float = 0.0) -> str:
    """Return the annotation of a sub-swath: the fields that are read."""
    lines, samples = (BURSTS * LINES, SAMPLES) if mode == "IW" else FAR
    starts = tops(index) if mode == "IW" else []
    metres = 13.9 if mode == "IW" else 13.9 / 3
    near = (model().first_range + index * REACH * STEP) * 2 / 299_792_458.0
    return (
        "<product><adsHeader><missionId>S1A</missionId><productType>SLC</productType>"
        f"<polarisation>{band.upper()}</polarisation><mode>{mode}</mode>"
        f"<swath>{swath.upper()}</swath><startTime>{_EPOCH}</startTime><stopTime>"
        "2021-08-09T17:40:18.1</stopTime><absoluteOrbitNumber>39156</absoluteOrbitNumber>"
        "<missionDataTakeId>302867</missionDataTakeId></adsHeader><generalAnnotation>"
        "<productInformation><pass>Ascending</pass><projection>Slant Range</projection>"
        "<rangeSamplingRate>6.434523812571428e+07</rangeSamplingRate></productInformation>"
        f"<orbitList>{_orbit(mode)}</orbitList></generalAnnotation><imageAnnotation><imageInformation>"
        f"<productFirstLineUtcTime>{_time(starts[0] if starts else 0)}</productFirstLineUtcTime>"
        f"<slantRangeTime>{near:.15e}</slantRangeTime><rangePixelSpacing>2.329562"
        f"</rangePixelSpacing><azimuthPixelSpacing>{metres}</azimuthPixelSpacing>"
        f"<azimuthTimeInterval>{model(mode).line_interval:.15e}</azimuthTimeInterval>"
        f"<numberOfSamples>{samples}</numberOfSamples><numberOfLines>{lines}</numberOfLines>"
        "</imageInformation><processingInformation><swathProcParamsList><swathProcParams>"
        f"{_processing('range', 6.434523812571428e7)}"
        f"{_processing('azimuth', 1 / model(mode).line_interval)}"
        "</swathProcParams></swathProcParamsList></processingInformation></imageAnnotation>"
        f"<swathTiming><linesPerBurst>{LINES if starts else 0}</linesPerBurst>"
        f"<burstList>{''.join(_burst(*one) for one in enumerate(starts))}</burstList></swathTiming>"
        "<geolocationGrid><geolocationGridPointList>"
        f"{_points(index, starts, (lines, samples), model(mode), relief)}"
        "</geolocationGridPointList></geolocationGrid></product>"
    )


def _time(line: float, seconds: float = 0.0) -> str:
    """Return the time of a line of the lattice, to the microsecond as products have it."""
    return str(_EPOCH + np.timedelta64(round((line * INTERVAL + seconds) * 1e6), "us"))


def _processing(axis: str, bandwidth: float) -> str:
    return (
        f"<{axis}Processing><windowCoefficient>1.0</windowCoefficient><totalBandwidth>"
        f"{bandwidth:.9e}</totalBandwidth><numberOfLooks>1</numberOfLooks></{axis}Processing>"
    )


def _burst(burst: int, top: int) -> str:
    ends = []
    for sample in valid(burst):
        line = np.full(LINES, sample)
        line[:_FIRST_BAD] = line[LINES - _LAST_BAD :] = -1
        ends.append(" ".join(map(str, line)))
    return (
        f"<burst><azimuthTime>{_time(top)}</azimuthTime><firstValidSample>{ends[0]}"
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
        at = _time(0, float(time) - geometry.first_time)
        states.append(f"<orbit><time>{at}</time>{vectors}</orbit>")
    return "".join(states)


def _points(
    index: int, starts: list[int], extent: tuple[int, int], seen: RangeDoppler, relief: float
) -> str:
    """Return a geolocation grid: at the first line of each burst and at the last line of all."""
    lines, samples = extent
    own = [*(burst * LINES for burst in range(len(starts))), lines - 1]
    lattice = [*starts, (starts[-1] + LINES - 1) if starts else lines - 1]
    if not starts:
        own = lattice = [0, lines // 2, lines - 1]
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
