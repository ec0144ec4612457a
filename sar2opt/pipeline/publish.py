"""From the staging store to finished products, which appear all at once."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pystac

from sar2opt.pipeline.overlay import find_anomalies, find_objects, layers_of
from sar2opt.pipeline.plan import RunPlan
from sar2opt.products.cog import write_cog
from sar2opt.products.evidence import write_evidence
from sar2opt.products.facts import Product
from sar2opt.products.folder import product_paths, staged_output
from sar2opt.products.pictures import crop_pictures, read_pictures
from sar2opt.products.preview import write_preview
from sar2opt.products.profiles import GREY, OPTICAL, SAR, TAGS, TRUST, CogProfile, write_class_names
from sar2opt.products.report import write_report
from sar2opt.products.side_styles import write_styles
from sar2opt.products.stac import stac_item, write_stac
from sar2opt.products.vectors import write_extra, write_geopackage
from sar2opt.raster import NO_TAG, take_band
from sar2opt.sar.normalise import to_grey
from sar2opt.sar.power_codes import power_of_codes
from sar2opt.tiles.apply import read_padded
from sar2opt.tiles.plan import Window

Progress = Callable[[str, int, int], None]
NO_DATA = NO_TAG  # also of trust


def publish(
    plan: RunPlan, progress: Progress | None = None
) -> tuple[gpd.GeoDataFrame, gpd.GeoDataFrame]:
    """Write all products of a run whose blocks are all staged; return objects and anomalies."""
    with staged_output(plan.folder, plan.name, overwrite=plan.overwrite) as folder:
        paths = product_paths(folder, plan.name)
        counts = _write_rasters(plan, paths, progress)
        objects = find_objects(plan, progress)
        anomalies = find_anomalies(plan, progress)
        crop = partial(crop_pictures, paths, partial(read_grey, plan), plan.facts.geobox)
        evidence: list[Path] = []
        if plan.config.output.evidence:
            wanted = plan.config.output.evidence
            anomalies, evidence = write_evidence(folder, plan.name, anomalies, crop, wanted)
        tables = layers_of(plan, anomalies, objects)
        write_geopackage(paths["vectors"], tables, plan.facts)
        extra = write_extra(folder, tables, plan.facts, plan.config.output.vectors)
        sar = np.asarray(plan.staging.array("sar")[0])
        pictures = read_pictures(paths, sar, plan.facts.geobox)
        write_preview(paths["preview"], plan.facts, pictures, anomalies)
        there = [path for path in paths.values() if path.exists()]
        write_report(
            paths["report"],
            plan.facts,
            pictures,
            anomalies,
            tag_counts=counts["tags"],
            trust_counts=counts["trust"],
            crop=crop,
            files=[*there, *extra, *evidence],
            features=tables.get("features"),
            site=plan.reference.site_columns if plan.reference else (),
        )
        write_stac(paths["stac"], _item(plan, paths, tables["footprint"]))
        plan.staging.mark_published()
    return objects, anomalies


def _write_rasters(
    plan: RunPlan, paths: dict[str, Path], progress: Progress | None
) -> dict[str, npt.NDArray[np.int64]]:
    """Write the COGs side by side; return how often each value occurs in each."""
    profiles: dict[Product, CogProfile] = {
        "optical": GREY if plan.optical_bands == 1 else OPTICAL,
        "trust": TRUST,
        "tags": TAGS,
        "sar": SAR,
    }
    rows, cols = plan.blocks.shape
    total, done = len(profiles) * rows * cols, 0
    norm = plan.job.translator_norm
    grey = to_grey(power_of_codes(norm.level_db), norm)

    def count(pixels: int) -> None:
        nonlocal done
        done += pixels
        if progress:
            progress("writing rasters", done, total)

    def write(name: Product) -> npt.NDArray[np.int64]:
        staged, shown = ("power", grey) if name == "sar" else (name, None)
        array, known = plan.staging.array(staged), plan.staging.array("trust")
        source = StagedSource(array, known, shown)
        tags, geobox = plan.facts.tags(name), plan.facts.geobox
        write_cog(paths[name], source.read, geobox, profiles[name], tags, progress=count)
        return source.counts

    # GDAL's last step, the assembly, leaves a core idle; two files at a time fill it
    with ThreadPoolExecutor(2) as pool:
        counts = dict(zip(profiles, pool.map(write, profiles), strict=True))
    write_class_names(paths["tags"])
    write_styles(paths)
    return {str(name): values for name, values in counts.items()}


class StagedSource:
    """A staged array as ``write_cog`` reads it, counting the values of its first band."""

    def __init__(self, array: Any, known: Any, shown: npt.NDArray[np.uint8] | None = None) -> None:
        self._array, self._known = array, known  # the latter NO_DATA where there is none
        self._shown = shown  # what stands in the file for each of the 256 codes
        self.counts = np.zeros(256, np.int64)

    def read(
        self, y0: int, y1: int, x0: int, x1: int
    ) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]] | None:
        valid = np.asarray(self._known[0, y0:y1, x0:x1]) != NO_DATA
        if not valid.any():
            return None
        pixels = np.asarray(self._array[:, y0:y1, x0:x1])
        if self._shown is not None:
            pixels = self._shown[pixels]
        self.counts += np.bincount(pixels[0][valid], minlength=256)
        return pixels, valid


def read_grey(plan: RunPlan, y0: int, y1: int, x0: int, x1: int) -> npt.NDArray[np.uint8]:
    band = take_band(plan.scene, plan.job.translator_band)
    return to_grey(read_padded(band, Window(y0, y1, x0, x1))[0], plan.job.translator_norm)


def _item(plan: RunPlan, paths: dict[str, Path], footprint: gpd.GeoDataFrame) -> pystac.Item:
    files = {name: path for name, path in paths.items() if path.exists()}
    return stac_item(plan.facts, files, footprint.to_crs("EPSG:4326").geometry.iloc[0])
