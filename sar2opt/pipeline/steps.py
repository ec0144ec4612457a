"""Steps of a run on their own, each to a file: the tags of a scene, and its anomalies.

They are the run's own steps, with its settings: what they find is what a run finds.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import geopandas as gpd
import numpy as np
import numpy.typing as npt
from PIL import Image
from shapely.geometry.base import BaseGeometry

from sar2opt.config import RunConfig
from sar2opt.pipeline.block import Wanted
from sar2opt.pipeline.overlay import find_anomalies, layers_of
from sar2opt.pipeline.plan import RunPlan, make_plan
from sar2opt.pipeline.publish import StagedSource, read_grey
from sar2opt.pipeline.run import Progress, carry_out
from sar2opt.products.cog import write_cog
from sar2opt.products.evidence import remove_stale, write_evidence
from sar2opt.products.folder import check_target, output_errors
from sar2opt.products.pictures import crop_window, picture_of
from sar2opt.products.profiles import PROBABILITY, TAGS, write_class_names
from sar2opt.products.reopen import probability_file
from sar2opt.products.side_styles import write_styles
from sar2opt.products.vectors import check_geopackage, write_geopackage
from sar2opt.tiles.plan import Window

Tell = Callable[[str], None]


def tag_scene(
    config: RunConfig,
    out: Path,
    *,
    progress: Progress | None = None,
    tell: Tell | None = None,
    command: str = "",
) -> npt.NDArray[np.int64]:
    """Write the tags of the scene that ``config.scene.path`` names; return how often each occurs.

    ``out`` is a COG like ``S_tags.tif`` of a run, with class names and QGIS style beside it;
    ``probability_file(out)`` holds the probability of each pixel's tag in percent. Raises a
    ``Sar2optError``; then no file of this call is left behind.
    """
    if config.scene.path is not None:
        check_target(probability_file(out), config.scene.path, overwrite=config.output.overwrite)
    plan = make_plan(config, command, Wanted(image=False, flags=False, file=out))
    _, counts = carry_out(plan, _write_tags, progress, tell)
    return counts


def flag_scene(
    config: RunConfig,
    out: Path,
    *,
    progress: Progress | None = None,
    tell: Tell | None = None,
    command: str = "",
) -> gpd.GeoDataFrame:
    """Write the anomalies of a scene to the GeoPackage ``out``, and return them.

    Its layers are ``anomalies``, ``features`` (of a reference) and ``footprint``, as in a run's
    own. Where nothing is found, the layer has no rows. With ``config.output.evidence``, pictures
    ``OUT_evidence_ID_sar.png`` and ``_optical.png`` lie beside it. Raises a ``Sar2optError``; then
    nothing of this call is left behind.
    """
    check_geopackage(out)
    plan = make_plan(config, command, Wanted(image=False, file=out))
    _, anomalies = carry_out(plan, _write_anomalies, progress, tell)
    return anomalies


def _write_tags(plan: RunPlan, progress: Progress | None) -> npt.NDArray[np.int64]:
    """Write tags and probabilities to a hidden folder, and move all of it up at the end."""
    out, facts = plan.folder, plan.facts
    rows, cols = plan.blocks.shape
    done, total = 0, 2 * rows * cols

    def count(pixels: int) -> None:
        nonlocal done
        done += pixels
        if progress:
            progress("writing rasters", done, total)

    with output_errors(out), tempfile.TemporaryDirectory(prefix=".tags-", dir=out.parent) as held:
        tags = Path(held) / out.name
        probability = probability_file(tags)
        counts = np.zeros(256, np.int64)
        for path, layer, profile in ((probability, "score", PROBABILITY), (tags, "tags", TAGS)):
            read = StagedSource(plan.staging.array(layer), plan.staging.array("tags"))
            write_cog(path, read.read, facts.geobox, profile, facts.tags("tags"), progress=count)
            counts = read.counts
        side = [write_class_names(tags), tags.with_suffix(".qml")]
        write_styles({"tags_style": side[1]})
        for path in (*side, probability, tags):  # the tags last: where they are, all is
            path.replace(out.with_name(path.name))
    return counts


def _write_anomalies(plan: RunPlan, progress: Progress | None) -> gpd.GeoDataFrame:
    out, anomalies = plan.folder, find_anomalies(plan, progress)
    wanted, evidence = plan.config.output.evidence, list[Path]()
    with output_errors(out), tempfile.TemporaryDirectory(prefix=".flags-", dir=out.parent) as held:
        if wanted:
            found = write_evidence(Path(held), out.stem, anomalies, partial(_crop, plan), wanted)
            anomalies, evidence = found
        finished = write_geopackage(Path(held) / out.name, layers_of(plan, anomalies), plan.facts)
        for path in (*evidence, finished):  # the table last: where it is, its pictures are
            path.replace(out.with_name(path.name))
    remove_stale(out.parent, out.stem, [out.with_name(path.name) for path in evidence])
    return anomalies


def _crop(plan: RunPlan, geometry: BaseGeometry) -> dict[str, Image.Image]:
    """Return the radar and the generated image around a geometry."""
    y0, y1, x0, x1 = crop_window(plan.facts.geobox, geometry)
    image = plan.job.picture(Window(y0, y1, x0, x1))
    return {
        "sar": picture_of(read_grey(plan, y0, y1, x0, x1)[None]),
        "optical": picture_of(image),
    }
