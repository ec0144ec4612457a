"""What each kind of GeoTIFF is like, and the names of the classes beside it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from rasterio.enums import ColorInterp

from sar2opt.products.classes import CLASSES, NO_TAG, LandCover
from sar2opt.products.folder import output_errors


@dataclass(frozen=True)
class CogProfile:
    """What a kind of GeoTIFF is like."""

    bands: tuple[str, ...]
    colours: tuple[ColorInterp, ...]
    overviews: Literal["average", "mode"]
    nodata: int | None  # None: an internal mask
    predictor: bool  # horizontal differencing: helps images, hurts classes
    unit: str = ""
    classes: tuple[LandCover, ...] = ()


OPTICAL = CogProfile(
    bands=("red (generated)", "green (generated)", "blue (generated)"),
    colours=(ColorInterp.red, ColorInterp.green, ColorInterp.blue),
    overviews="average",
    nodata=None,
    predictor=True,
)
GREY = CogProfile(
    bands=("luminance (generated)",),
    colours=(ColorInterp.gray,),
    overviews="average",
    nodata=None,
    predictor=True,
)
SAR = CogProfile(
    bands=("backscatter for display",),
    colours=(ColorInterp.gray,),
    overviews="average",
    nodata=None,
    predictor=True,
)
TRUST = CogProfile(
    bands=("trust in the generated image",),
    colours=(ColorInterp.gray,),
    overviews="average",
    nodata=255,
    predictor=True,
    unit="percent",
)
PROBABILITY = replace(TRUST, bands=("probability of the land cover (generated)",))
TAGS = CogProfile(
    bands=("land cover (generated)",),
    colours=(ColorInterp.palette,),
    overviews="mode",
    nodata=NO_TAG,
    predictor=False,
    classes=CLASSES,
)


def write_class_names(path: Path, classes: tuple[LandCover, ...] = CLASSES) -> Path:
    """Write the class names and attributes of a GeoTIFF as GDAL's side-car ``PATH.aux.xml``.

    TIFF has no place for them. GDAL, QGIS and ArcGIS read category names and the raster
    attribute table (value, name, colour) from there.
    """
    names = "".join(f"<Category>{entry.title}</Category>" for entry in classes)
    columns = (("Value", 0, 5), ("Class", 2, 2), ("Red", 0, 6), ("Green", 0, 7), ("Blue", 0, 8))
    fields = "".join(
        f'<FieldDefn index="{index}"><Name>{name}</Name><Type>{kind}</Type>'
        f"<Usage>{usage}</Usage></FieldDefn>"
        for index, (name, kind, usage) in enumerate(columns)
    )
    rows = "".join(
        f'<Row index="{index}">'
        + "".join(f"<F>{value}</F>" for value in (entry.code, entry.title, *entry.colour))
        + "</Row>"
        for index, entry in enumerate(classes)
    )
    sidecar = path.with_name(path.name + ".aux.xml")
    with output_errors(sidecar):
        sidecar.write_text(
            f'<PAMDataset><PAMRasterBand band="1"><CategoryNames>{names}</CategoryNames>'
            f'<GDALRasterAttributeTable tableType="thematic">{fields}{rows}'
            "</GDALRasterAttributeTable></PAMRasterBand></PAMDataset>\n",
            encoding="utf-8",
        )
    return sidecar
