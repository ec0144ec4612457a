"""A simulated Sentinel-1 GRD product: XML of the fields that are read, and simulated pixels.

It lies in no orbit: lines run north to south and pixels west to east, 10 m apart, so that it is
easy to see whether it came out in its place.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
import xarray as xr
from rasterio.errors import NotGeoreferencedWarning

from sar2opt.errors import ConventionError
from sar2opt.raster import SAR_QUANTITIES, check_raster

SHAPE = LINES, SAMPLES = 200, 240
NAME = "S1A_IW_GRDH_1SDV_20210809T173953_20210809T174018_039156_049F13_6FF8"
_STEM = "s1a-iw-grd-{}-20210809t173953-20210809t174018-039156-049f13-00{}"
_LAT = 45.0


def place(line: Any, pixel: Any) -> tuple[Any, Any]:
    """Return longitude and latitude of lines and pixels: 10 m apart, north up."""
    return 11 + pixel * 10 / (111_320 * np.cos(np.radians(_LAT))), _LAT - line * 10 / 111_132


def gain(line: Any, pixel: Any) -> Any:
    """Return the calibration A of gamma nought, linear in line and pixel."""
    return 400 + 0.5 * line + 0.25 * pixel


def noise(line: Any, pixel: Any) -> Any:
    """Return thermal noise in DN squared: range table times the factor along the track."""
    return (1000 + 2.0 * pixel) * (1 + line / 1000)


def annotation(
    polarisation: str, lines: int = LINES, first: int = 0, shape: tuple[int, int] = SHAPE
) -> str:
    """Return the annotation of one polarisation, of a slice that begins at line ``first``."""
    rows, cols = shape
    points = "".join(
        "<geolocationGridPoint>"
        f"<line>{line}</line><pixel>{pixel}</pixel>"
        f"<latitude>{place(first + line, pixel)[1]:.12f}</latitude>"
        f"<longitude>{place(first + line, pixel)[0]:.12f}</longitude><height>0</height>"
        f"<incidenceAngle>{30 + 12 * pixel / cols}</incidenceAngle></geolocationGridPoint>"
        for line in (0, rows // 2, rows - 1)
        for pixel in (0, cols // 3, 2 * cols // 3, cols - 1)
    )  # fmt: skip
    looks = "".join(
        f"<{axis}Processing><numberOfLooks>{n}</numberOfLooks></{axis}Processing>"
        for axis, n in (("range", 5), ("azimuth", 1))
    )
    return (
        "<product><adsHeader><missionId>S1A</missionId><productType>GRD</productType>"
        f"<polarisation>{polarisation.upper()}</polarisation><mode>IW</mode>"
        "<startTime>2021-08-09T17:39:53.1</startTime><stopTime>2021-08-09T17:40:18.1</stopTime>"
        "<absoluteOrbitNumber>39156</absoluteOrbitNumber><missionDataTakeId>302867"
        "</missionDataTakeId></adsHeader><generalAnnotation><productInformation><pass>Ascending"
        "</pass></productInformation></generalAnnotation><imageAnnotation><imageInformation>"
        "<productFirstLineUtcTime>2021-08-09T17:39:53.1</productFirstLineUtcTime>"
        "<rangePixelSpacing>10</rangePixelSpacing><azimuthPixelSpacing>10</azimuthPixelSpacing>"
        "<azimuthTimeInterval>0.0015</azimuthTimeInterval>"
        f"<numberOfSamples>{cols}</numberOfSamples><numberOfLines>{lines}</numberOfLines>"
        "</imageInformation><processingInformation><swathProcParamsList><swathProcParams>"
        f"{looks}</swathProcParams></swathProcParamsList></processingInformation>"
        f"</imageAnnotation><geolocationGrid><geolocationGridPointList>{points}"
        "</geolocationGridPointList></geolocationGrid></product>"
    )


def calibration(shape: tuple[int, int] = SHAPE) -> str:
    """Return calibration tables; those of sigma and beta nought are 1.1 and 1.2 times as high."""
    rows, cols = shape
    pixel = np.array([0, cols // 4, cols // 2, cols - 1])
    vectors = "".join(
        f"<calibrationVector><line>{line}</line><pixel>{_list(pixel)}</pixel>"
        + "".join(
            f"<{name}>{_list(times * gain(line, pixel))}</{name}>"
            for name, times in (("sigmaNought", 1.1), ("betaNought", 1.2), ("gamma", 1))
        )
        + "</calibrationVector>"
        for line in (0, 3 * rows // 4, rows)
    )
    return f"<calibration><calibrationVectorList>{vectors}</calibrationVectorList></calibration>"


def noise_xml(shape: tuple[int, int] = SHAPE, *, old: bool = False) -> str:
    """Return thermal noise, in the form since 2018 or that before, which are the same noise."""
    rows, cols = shape
    pixel, line = np.array([0, cols // 4, cols - 1]), np.array([0, rows // 2, rows - 1])
    half = 5 * cols // 12
    if old:
        vectors = "".join(
            f"<noiseVector><line>{at}</line><pixel>{_list(pixel)}</pixel>"
            f"<noiseLut>{_list(noise(at, pixel))}</noiseLut></noiseVector>"
            for at in line
        )
        return f"<noise><noiseVectorList>{vectors}</noiseVectorList></noise>"
    blocks = "".join(
        f"<noiseAzimuthVector><firstAzimuthLine>0</firstAzimuthLine><firstRangeSample>{first}"
        f"</firstRangeSample><lastAzimuthLine>{rows - 1}</lastAzimuthLine><lastRangeSample>{last}"
        f"</lastRangeSample><line>{_list(line)}</line><noiseAzimuthLut>{_list(1 + line / 1000)}"
        "</noiseAzimuthLut></noiseAzimuthVector>"
        for first, last in ((0, half - 1), (half, cols - 1))
    )
    return (
        f"<noise><noiseRangeVectorList><noiseRangeVector><line>0</line><pixel>{_list(pixel)}"
        f"</pixel><noiseRangeLut>{_list(noise(0, pixel))}</noiseRangeLut></noiseRangeVector>"
        f"</noiseRangeVectorList><noiseAzimuthVectorList>{blocks}</noiseAzimuthVectorList></noise>"
    )


def write_safe(
    folder: Path,
    stored: npt.NDArray[np.uint16],
    bands: tuple[str, ...] = ("vv", "vh"),
    *,
    name: str = NAME,
    first: int = 0,
) -> Path:
    """Write digital numbers, ``(y, x)`` or ``(band, y, x)``, as a ``.SAFE`` folder.

    ``first`` is the line at which it begins, if it is a slice. Returns its path.
    """
    shape = stored.shape[-2], stored.shape[-1]
    planes = np.broadcast_to(stored, (len(bands), *shape))
    safe = folder / f"{name}.SAFE"
    for part in ("annotation/calibration", "measurement"):
        (safe / part).mkdir(parents=True)
    for number, (band, plane) in enumerate(zip(bands, planes, strict=True), start=1):
        stem = _STEM.format(band, number)
        texts = {
            f"annotation/{stem}.xml": annotation(band, shape[0], first, shape),
            f"annotation/calibration/calibration-{stem}.xml": calibration(shape),
            f"annotation/calibration/noise-{stem}.xml": noise_xml(shape),
        }
        for path, text in texts.items():
            (safe / path).write_text(text, encoding="utf-8")
        write_numbers(safe / f"measurement/{stem}.tiff", plane)
    return safe


def simulate_safe(folder: Path, scene: xr.DataArray) -> Path:
    """Write backscatter ``(band, y, x)`` of vv and vh as the Sentinel-1 product it might come from.

    Calibration and thermal noise are put in, so that ``open_scene`` has to take them out again; the
    place is a made-up one. Returns the path of the ``.SAFE`` folder. Raises ``ConventionError``.
    """
    check_raster(scene, quantity=SAR_QUANTITIES)
    bands = tuple(str(band) for band in scene.band.values)
    if not set(bands) <= {"vv", "vh"} or scene.attrs["scale"] != "linear":
        raise ConventionError("a simulated product is made of vv and vh in linear power")
    power = np.nan_to_num(np.asarray(scene.values))  # (band, y, x)
    line, pixel = np.ogrid[: power.shape[1], : power.shape[2]]
    squared = power * gain(line, pixel) ** 2 + noise(line, pixel)
    stored = np.where(power > 0, np.rint(np.sqrt(squared)).clip(1, 65535), 0)
    folder.mkdir(parents=True, exist_ok=True)
    return write_safe(folder, stored.astype(np.uint16), bands)


def write_numbers(path: Path, stored: Any) -> None:
    """Write a measurement, in strips of one line without a place, as the products have it."""
    height, width = stored.shape
    kind = "complex_int16" if np.iscomplexobj(stored) else stored.dtype
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(
            path, "w", driver="GTiff", dtype=kind, count=1, height=height, width=width
        ) as file:
            file.write(stored, 1)
            file.update_tags(SIMULATED="YES")


def _list(values: Any) -> str:
    return " ".join(f"{float(value):.9e}" if value % 1 else str(int(value)) for value in values)
