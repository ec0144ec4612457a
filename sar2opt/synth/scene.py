"""A synthetic scene: what the radar saw, and everything that is true of it."""

from __future__ import annotations

from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import xarray as xr
from rasterio.features import shapes
from shapely.geometry import Polygon, shape

from sar2opt.raster import make_raster
from sar2opt.synth.anomalies import plant
from sar2opt.synth.backscatter import expected_power
from sar2opt.synth.fields import Floats, Mask
from sar2opt.synth.landscape import make_landscape
from sar2opt.synth.optical import sunlit
from sar2opt.synth.spec import Bytes, Landscape, SceneSpec
from sar2opt.synth.speckle import draw_speckle
from sar2opt.synth.surfaces import NODATA_TAG, Use

SAR_BANDS = ("vv", "vh")
AOI = ((0.30, 0.38), (0.62, 0.34), (0.86, 0.60), (0.80, 0.93), (0.28, 0.90))
"""Corners of the area of interest, in parts of the scene's width and height."""


@dataclass(frozen=True)
class Scene:
    """A scene with known truth, all on one grid (``sar.odc.geobox``).

    ``sar``: bands ``vv``, ``vh``, sigma nought, linear, NaN is no data. ``optical``: ``red``,
    ``green``, ``blue``, 0 to 1, without gaps. ``tags`` ``(y, x)``: class codes in the order of
    ``CLASSES``, 255 where the radar has no data. ``height`` ``(y, x)`` in metres.
    ``layover_shadow`` ``(y, x)``: 1 layover, 2 shadow, 0 neither. ``anomalies``: see
    ``anomalies.plant``. ``reference``: the land-use register, parcels with a column ``class``,
    which is wrong exactly where an anomaly of kind ``reference_disagreement`` lies. ``aoi``: an
    area of interest in the scene's CRS.
    """

    spec: SceneSpec
    sar: xr.DataArray
    optical: xr.DataArray
    tags: Bytes
    height: Floats
    layover_shadow: Bytes
    anomalies: gpd.GeoDataFrame
    reference: gpd.GeoDataFrame
    aoi: Polygon


def make_scene(spec: SceneSpec) -> Scene:
    """Make the scene that ``spec`` describes: the same pixels at every call.

    Raises ``ConfigError`` (from ``SceneSpec``) when no such scene can be made.
    """
    land = make_landscape(spec)
    valid = _swath(spec) if spec.swath else np.ones(spec.shape, bool)
    anomalies = plant(land, spec, valid)
    power, layover_shadow = expected_power(land, spec)
    for band, name in enumerate(SAR_BANDS):
        power[band] *= draw_speckle(spec.rng(name), spec.shape, spec.looks, spec.grain)
    power[:, ~valid] = np.nan
    return Scene(
        spec=spec,
        sar=_raster(spec, power, SAR_BANDS, "sigma0"),
        optical=_raster(spec, sunlit(land, spec), ("red", "green", "blue"), "optical"),
        tags=np.where(valid, land.tags, np.uint8(NODATA_TAG)),
        height=land.height,
        layover_shadow=layover_shadow,
        anomalies=anomalies,
        reference=_register(land, spec),
        aoi=_area_of_interest(spec),
    )


def _raster(spec: SceneSpec, data: Floats, bands: tuple[str, ...], quantity: str) -> xr.DataArray:
    source = f"simulated: {spec.name}, seed {spec.seed}"
    return make_raster(
        data,
        spec.geobox,
        bands,
        quantity=quantity,
        scale="linear",
        acquired=spec.acquired,
        source=source,
    )


def sample_pair(seed: int, shape: tuple[int, int] = (256, 256)) -> tuple[Floats, Bytes]:
    """Return sigma nought ``(2, y, x)`` (VV, VH, linear) and tags ``(y, x)`` of a random scene."""
    rng = np.random.default_rng(seed)
    spec = SceneSpec(
        kind=("harbour", "valley", "plain")[rng.integers(3)],
        shape=shape,
        seed=seed,
        incidence_deg=float(rng.uniform(30, 45)),
        look_azimuth_deg=float(rng.choice([79.0, 281.0])),
    )
    scene = make_scene(spec)
    return scene.sar.values, scene.tags


def _swath(spec: SceneSpec) -> Mask:
    """Return where the scene has data: short of the far edge of the swath and after its start."""
    rows, cols = np.indices(spec.shape, dtype=np.float32)
    look = np.radians(spec.look_azimuth_deg)
    away = cols * np.sin(look) - rows * np.cos(look)
    track = cols * np.cos(look) + rows * np.sin(look)
    edges: npt.NDArray[np.bool_] = np.ones(spec.shape, bool)
    for distance in (away, track):
        edges &= distance < distance.max() - 0.09 * (distance.max() - distance.min())
    return edges


def _area_of_interest(spec: SceneSpec) -> Polygon:
    left, bottom, right, top = spec.geobox.boundingbox
    return Polygon([(left + x * (right - left), top - y * (top - bottom)) for x, y in AOI])


def _register(land: Landscape, spec: SceneSpec) -> gpd.GeoDataFrame:
    """Return the parcels of one use that hang together, with the column ``class``."""
    found = shapes(land.use, connectivity=4, transform=spec.geobox.affine)
    geometry, use = zip(*((shape(outline), Use(int(code))) for outline, code in found), strict=True)
    names = [one.name.lower() for one in use]
    return gpd.GeoDataFrame({"class": names}, geometry=list(geometry), crs=spec.crs)
