"""From a raster of tags, on its own, to a GeoPackage of objects.

It stands beside ``pipeline``, not in it, because that loads the nets, and tags need none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt

from sar2opt.config import ObjectSettings
from sar2opt.errors import SceneError
from sar2opt.overlay import (
    check_tags,
    keep_ids,
    read_earlier,
    rectangular,
    tags_to_objects,
    with_origin,
)
from sar2opt.overlay.footprint import footprint
from sar2opt.products.facts import UNKNOWN, Facts, ModelFacts
from sar2opt.products.folder import check_target
from sar2opt.products.reopen import ByteLayer, probability_file
from sar2opt.products.vectors import check_geopackage, footprint_table, write_geopackage
from sar2opt.raster import NO_TAG, OBJECTS, TAGS, take_band
from sar2opt.sar.power_codes import encode_power
from sar2opt.sar.radiometry import to_db
from sar2opt.scenes import open_scene
from sar2opt.scenes.alongside import lay_alongside
from sar2opt.tiles.apply import read_padded
from sar2opt.tiles.plan import Window
from sar2opt.tiles.sample import sample_windows

BLOCK = 1024  # pixels
_WHOLE = 2**24  # pixels; more than a side of any scene


@dataclass(frozen=True)
class ObjectsJob:
    """Which tags become objects, and how."""

    tags: Path
    out: Path
    scene: Path | None = None  # whose backscatter the objects tell
    settings: ObjectSettings = field(default_factory=ObjectSettings)
    overwrite: bool = False
    workers: int = 0  # threads; 0 is one a core
    command: str = ""


def tags_file_to_objects(
    job: ObjectsJob,
    *,
    progress: Callable[[str, int, int], None] | None = None,
    tell: Callable[[str], None] | None = None,
) -> gpd.GeoDataFrame:
    """Write the objects of a raster of tags to a GeoPackage, and return them.

    The raster holds one band of bytes: codes of the classes that its tag CLASSES names ("0 water;
    1 trees"), or else of sar2opt's own. If ``probability_file`` lies beside it, objects have a
    score. ``tell`` is told what was assumed. Layers are ``objects`` and ``footprint``. Memory does
    not grow with the raster, but with what is found. Raises ``SceneError``, ``LayerError`` or
    ``OutputError``; the file appears whole or not at all.
    """
    check_geopackage(job.out)
    check_target(job.out, job.tags, overwrite=job.overwrite)
    tags = ByteLayer(job.tags)
    names, notes = _names(tags)
    check_tags(job.settings.rectangles, names)
    earlier = None if job.settings.before is None else read_earlier(job.settings.before)
    score, more = _score(job, tags)
    power, backscatter = _power(job, tags)
    notes += [*more, *backscatter]
    for note in notes if tell else ():
        tell(note)  # type: ignore[misc]
    engine: dict[str, Any] = {"block": BLOCK, "workers": job.workers}
    told = partial(progress, "outlining objects") if progress else None
    objects = tags_to_objects(
        tags, tags.geobox, names, score=score, power=power,
        level_db=power.level_db if power else 0.0,
        min_area_m2=job.settings.min_area_m2,
        min_areas_m2=dict.fromkeys(OBJECTS, job.settings.min_target_m2),
        max_hole_m2=job.settings.max_hole_m2,
        smooth=job.settings.smooth, fill=job.settings.fill,
        progress=told, **engine,
    )  # fmt: skip
    objects = rectangular(objects, job.settings.rectangles)
    if earlier is not None:
        objects, kept = keep_ids(objects, earlier)
        notes.append(f"{kept} of {len(objects)} objects keep the id of an earlier scene")
        if tell:
            tell(notes[-1])
    facts = _facts(job, tags, notes)
    objects = with_origin(objects, **facts.origin)
    outline = footprint_table(facts, footprint(tags, tags.geobox, NO_TAG, **engine))
    write_geopackage(job.out, {"objects": objects, "footprint": outline}, facts)
    return objects


def _names(tags: ByteLayer) -> tuple[tuple[str, ...], list[str]]:
    """Return the name of each code up to the highest, and what had to be assumed."""
    said = tags.tags.get("CLASSES", "")
    if not said:
        names = ", ".join(f"{code} {name}" for code, name in enumerate(TAGS))
        return TAGS, [f"{tags.path.name} names no classes: its codes are taken for {names}"]
    named = {}
    for part in said.split(";"):
        code, _, name = part.strip().partition(" ")
        if not (code.isdecimal() and int(code) < NO_TAG and name):
            raise SceneError(
                f"{tags.path}: its tag CLASSES is '{said}', which is not like '0 water; 1 trees'"
            )
        named[int(code)] = name.strip()
    return tuple(named.get(code, f"class {code}") for code in range(max(named) + 1)), []


def _score(job: ObjectsJob, tags: ByteLayer) -> tuple[ByteLayer | None, list[str]]:
    path = probability_file(job.tags)
    if not path.exists():
        return None, [f"there is no {path.name} beside the tags: objects have no score"]
    score = ByteLayer(path)
    if score.geobox != tags.geobox:
        raise SceneError(f"{path}: lies on another grid than {tags.path.name}: take it away")
    return score, []


def _power(job: ObjectsJob, tags: ByteLayer) -> tuple[_Backscatter | None, list[str]]:
    if job.scene is None:
        return None, []
    scene = open_scene(job.scene, chunks=_WHOLE)
    names = [str(name) for name in scene.band.values]
    wanted = tags.tags.get("POLARISATION", "").lower()
    band = wanted if wanted in names else names[0]
    laid = lay_alongside(take_band(scene, band), tags.geobox, _WHOLE)
    seen = sample_windows(laid)
    level = float(np.nanmedian(to_db(seen[seen > 0]))) if (seen > 0).any() else 0.0
    notes = [f"{job.scene.name}: {note}" for note in laid.attrs["assumptions"]]
    return _Backscatter(laid, level), [*notes, f"backscatter is that of {band}"]


class _Backscatter:
    """Codes of backscatter ``(y, x)``, made of a scene as they are read."""

    def __init__(self, scene: Any, level_db: float) -> None:
        self._scene, self.level_db = scene, level_db
        self.shape = scene.shape[1:]

    def __getitem__(self, window: tuple[slice, slice]) -> npt.NDArray[np.uint8]:
        rows, cols = window
        power = read_padded(self._scene, Window(rows.start, rows.stop, cols.start, cols.stop))
        return encode_power(power[0], self.level_db)


def _facts(job: ObjectsJob, tags: ByteLayer, notes: list[str]) -> Facts:
    """Return what the raster says of itself, so that its objects say it too."""
    said = tags.tags
    models: tuple[ModelFacts, ...] = ()
    if "MODEL" in said and "MODEL_SHA256" in said:
        models = (ModelFacts("tagger", said["MODEL"], said["MODEL_SHA256"], {}),)
    earlier = [note for note in said.get("ASSUMPTIONS", "none").split(" | ") if note != "none"]
    return Facts(
        scene=job.out.stem,
        source=said.get("SOURCE", job.tags.name),
        acquired=said.get("ACQUIRED", "").replace(UNKNOWN, ""),
        geobox=tags.geobox,
        polarisation=said.get("POLARISATION", UNKNOWN),
        assumptions=(*earlier, *notes),
        models=models,
        settings="",
        software=f"sar2opt {version('sar2opt')}",
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        simulated="SIMULATED" in said,
        command=job.command,
    )
