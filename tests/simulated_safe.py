"""A tiny simulated Sentinel-1 GRD product: XML of the fields that are read, simulated pixels."""

from __future__ import annotations

import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.errors import NotGeoreferencedWarning

LINES, SAMPLES = 200, 240
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


def annotation(polarisation: str, lines: int = LINES, first: int = 0) -> str:
    """Return the annotation of one polarisation, of a slice that begins at line ``first``."""
    points = "".join(
        "<geolocationGridPoint>"
        f"<line>{line}</line><pixel>{pixel}</pixel>"
        f"<latitude>{place(first + line, pixel)[1]:.12f}</latitude>"
        f"<longitude>{place(first + line, pixel)[0]:.12f}</longitude><height>0</height>"
        f"<incidenceAngle>{30 + pixel / 20}</incidenceAngle></geolocationGridPoint>"
        for line in (0, 100, LINES - 1) for pixel in (0, 80, 160, SAMPLES - 1)
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
        f"<numberOfSamples>{SAMPLES}</numberOfSamples><numberOfLines>{lines}</numberOfLines>"
        "</imageInformation><processingInformation><swathProcParamsList><swathProcParams>"
        f"{looks}</swathProcParams></swathProcParamsList></processingInformation>"
        f"</imageAnnotation><geolocationGrid><geolocationGridPointList>{points}"
        "</geolocationGridPointList></geolocationGrid></product>"
    )


def calibration(lines: int = LINES, samples: int = SAMPLES) -> str:
    """Return calibration tables; those of sigma and beta nought are 1.1 and 1.2 times as high."""
    pixel = np.array([0, 60, 120, samples - 1])
    vectors = "".join(
        f"<calibrationVector><line>{line}</line><pixel>{_list(pixel)}</pixel>"
        + "".join(
            f"<{name}>{_list(times * gain(line, pixel))}</{name}>"
            for name, times in (("sigmaNought", 1.1), ("betaNought", 1.2), ("gamma", 1))
        )
        + "</calibrationVector>"
        for line in (0, 150, lines)
    )
    return f"<calibration><calibrationVectorList>{vectors}</calibrationVectorList></calibration>"


def noise_xml(lines: int = LINES, samples: int = SAMPLES, *, old: bool = False) -> str:
    """Return thermal noise, in the form since 2018 or that before, which are the same noise."""
    pixel, line = np.array([0, 60, samples - 1]), np.array([0, 100, lines - 1])
    if old:
        vectors = "".join(
            f"<noiseVector><line>{at}</line><pixel>{_list(pixel)}</pixel>"
            f"<noiseLut>{_list(noise(at, pixel))}</noiseLut></noiseVector>"
            for at in line
        )
        return f"<noise><noiseVectorList>{vectors}</noiseVectorList></noise>"
    blocks = "".join(
        f"<noiseAzimuthVector><firstAzimuthLine>0</firstAzimuthLine><firstRangeSample>{first}"
        f"</firstRangeSample><lastAzimuthLine>{lines - 1}</lastAzimuthLine><lastRangeSample>{last}"
        f"</lastRangeSample><line>{_list(line)}</line><noiseAzimuthLut>{_list(1 + line / 1000)}"
        "</noiseAzimuthLut></noiseAzimuthVector>"
        for first, last in ((0, 99), (100, samples - 1))
    )
    return (
        f"<noise><noiseRangeVectorList><noiseRangeVector><line>0</line><pixel>{_list(pixel)}"
        f"</pixel><noiseRangeLut>{_list(noise(0, pixel))}</noiseRangeLut></noiseRangeVector>"
        f"</noiseRangeVectorList><noiseAzimuthVectorList>{blocks}</noiseAzimuthVectorList></noise>"
    )


def numbers(seed: int = 0) -> Any:
    """Return simulated speckle as digital numbers, with a dark rim of no data on the left."""
    speckle = np.random.default_rng(seed).gamma(4.4, 1 / 4.4, (LINES, SAMPLES))
    stored = np.sqrt(20_000 * speckle).astype(np.uint16)
    stored[:, :3] = 0
    return stored


def write_safe(
    folder: Path,
    stored: Any = None,
    bands: tuple[str, ...] = ("vv", "vh"),
    *,
    name: str = NAME,
    first: int = 0,
) -> Path:
    """Write the product as a ``.SAFE`` folder; return its path."""
    safe = folder / f"{name}.SAFE"
    for part in ("annotation/calibration", "measurement"):
        (safe / part).mkdir(parents=True)
    for number, band in enumerate(bands, start=1):
        stem = _STEM.format(band, number)
        (safe / f"annotation/{stem}.xml").write_text(annotation(band, first=first))
        (safe / f"annotation/calibration/calibration-{stem}.xml").write_text(calibration())
        (safe / f"annotation/calibration/noise-{stem}.xml").write_text(noise_xml())
        write_numbers(safe / f"measurement/{stem}.tiff", numbers() if stored is None else stored)
    return safe


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


def zip_safe(safe: Path, *, extra: str = "") -> Path:
    """Zip a ``.SAFE`` folder, with one more file named ``extra``; return the path of the zip."""
    path = safe.parent / f"{safe.name}.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(safe.rglob("*")):
            archive.write(file, file.relative_to(safe.parent))
        if extra:
            archive.writestr(extra, "")
    return path


def flatten(safe: Path) -> Path:
    """Rename a product to the flat layout of clouds; return the folder."""
    for file in [file for file in safe.rglob("*") if file.is_file()]:
        band = "vv" if "-vv-" in file.name else "vh"
        kind = file.name.partition("-")[0]
        prefix = f"{kind}-" if kind in ("calibration", "noise") else ""
        file.rename(file.with_name(f"{prefix}iw-{band}{file.suffix}"))
    return safe.rename(safe.with_suffix(""))


def _list(values: Any) -> str:
    return " ".join(f"{float(value):.9e}" if value % 1 else str(int(value)) for value in values)
