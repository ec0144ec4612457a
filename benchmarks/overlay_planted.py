"""Planted anomalies: how many of each kind are found, and how many flags are right.

Each scene is simulated twice with other speckle, as two dates. The simulation itself plants ships,
a metal structure, and patches that the land register knows nothing of. Here are added: a site that
became 9 dB brighter, a field under water, and stands of trees in the register, half of which are
not there. Everything goes through ``sar2opt anomalies`` as it runs by default.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import rasterio
import shapely
from scipy import ndimage

import sar2opt
from sar2opt.overlay import missing_objects, reference_disagreement
from sar2opt.synth import ALLOW, CLASSES, Cover, Scene, SceneSpec, make_scene
from sar2opt.synth import scene as scene_module
from sar2opt.synth.anomalies import COLUMNS
from sar2opt.synth.landscape import make_landscape
from sar2opt.synth.speckle import draw_speckle

Mask = npt.NDArray[np.bool_]
SEEDS, SHAPE = range(11, 16), (768, 768)
BRIGHTER_DB, WATER = 9.0, (0.008, 0.0025)  # of a site; power of still water, VV and VH
SIDE = 24  # pixels of the site, the flooded field and the stands
NEAR_M = 20.0  # a flag so near to what was planted is of it
COVERED = 0.3  # share of a planted area that must be flagged
BANDS = ("VV", "VH")
KINDS = ("bright_target", "change", "flood", "reference_disagreement", "missing")
BUILT = (Cover.ROCK, Cover.YARD, Cover.STACK, Cover.ROOF, Cover.HOUSES)
WOODS = (Cover.GROVE, Cover.FOREST)
Score = dict[str, list[int]]  # kind: planted, found, flags, right; others on built, on woods


@dataclass(frozen=True)
class Planted:
    """A scene in a folder, and what is true of it."""

    scene: Scene
    now: Path
    before: Path
    register: Path
    truth: gpd.GeoDataFrame  # kind, geometry


def planted(folder: Path) -> None:
    """Judge all flags of planted scenes, and count those of scenes where nothing was planted."""
    scores: dict[str, Score] = {name: defaultdict(lambda: [0] * 6) for name in ("run", "true tags")}
    for seed in SEEDS:
        case = write_case(folder / f"planted_{seed}", SceneSpec(shape=SHAPE, seed=seed))
        count(scores["run"], case, flags_of(case))
        count(scores["true tags"], case, flags_of_true_tags(case))
    for name, score in scores.items():
        print(f"\n| {name} | planted | found | flags | right | else, on built | else, on trees |")
        print("|---|---|---|---|---|---|---|")
        for kind in KINDS:
            if kind in score:
                print(f"| {kind} | " + " | ".join(str(number) for number in score[kind]) + " |")
    clean(folder)


def clean(folder: Path) -> None:
    """Print how many flags there are in scenes where nothing was planted, by kind."""
    print("\n| clean scene | " + " | ".join(KINDS) + " |\n" + "|---" * 6 + "|")
    for kind in ("plain", "harbour"):
        for seed in SEEDS:
            with mock.patch.object(scene_module, "plant", nothing):
                spec = SceneSpec(kind=kind, shape=SHAPE, seed=seed)  # type: ignore[arg-type]
                case = write_case(folder / f"clean_{kind}_{seed}", spec, change=False)
            found = flags_of(case)["kind"].value_counts()
            print(f"| {kind} {seed} | " + " | ".join(str(found.get(k, 0)) for k in KINDS) + " |")


def nothing(land: Any, spec: SceneSpec, valid: Mask) -> gpd.GeoDataFrame:
    return gpd.GeoDataFrame(columns=list(COLUMNS), geometry="geometry", crs=spec.crs)


def write_case(folder: Path, spec: SceneSpec, *, change: bool = True) -> Planted:
    """Write two dates and the register of a simulated scene."""
    folder.mkdir(parents=True, exist_ok=True)
    scene = make_scene(spec)
    now, mean = scene.sar.values.copy(), scene.sar.values.copy()
    for band, name in enumerate(("vv", "vh")):
        mean[band] /= draw_speckle(spec.rng(name), spec.shape, spec.looks, spec.grain)
    rows: list[tuple[str, Any]] = []
    free = np.isin(scene.tags, [CLASSES.index("cropland"), CLASSES.index("bare")])
    sites = places(free, 2) if change else []
    if sites:
        site, field = sites
        mean[(slice(None), *site)] /= 10 ** (BRIGHTER_DB / 10)
        for band, power in enumerate(WATER):
            drawn = draw_speckle(spec.rng(f"flood {band}"), (SIDE, SIDE), spec.looks, spec.grain)
            now[(band, *field)] = power * drawn
        rows += [("change", outline(scene, site)), ("flood", outline(scene, field))]
    before = np.stack([
        mean[band] * draw_speckle(spec.rng(f"before {band}"), spec.shape, spec.looks, spec.grain)
        for band in range(2)
    ])  # fmt: skip
    register, missing = with_stands(scene, sites) if change else (scene.reference, [])
    rows += [("missing", shape) for shape in missing]
    rows += list(zip(scene.anomalies["kind"], scene.anomalies.geometry, strict=True))
    paths = folder / "now.tif", folder / "before.tif", folder / "register.gpkg"
    write_scene(paths[0], scene, now, spec.acquired)
    write_scene(paths[1], scene, before, "2024-05-02T05:12:33Z")
    paths[2].unlink(missing_ok=True)
    register.to_file(paths[2])
    truth = gpd.GeoDataFrame(rows, columns=["kind", "geometry"], geometry="geometry", crs=spec.crs)
    return Planted(scene, *paths, truth)


def places(free: Mask, number: int, apart: int = 3 * SIDE) -> list[tuple[slice, slice]]:
    """Return windows of free ground, the roomiest first, none near another or the rim."""
    free, found = free.copy(), []
    free[:SIDE] = free[-SIDE:] = free[:, :SIDE] = free[:, -SIDE:] = False
    for _ in range(number):
        room = ndimage.distance_transform_cdt(np.pad(free, 1))[1:-1, 1:-1]
        y, x = np.unravel_index(int(room.argmax()), room.shape)
        if room[y, x] < SIDE // 2:
            return []
        top, left = int(y) - SIDE // 2, int(x) - SIDE // 2
        found.append((slice(top, top + SIDE), slice(left, left + SIDE)))
        free[max(0, top - apart) : top + apart, max(0, left - apart) : left + apart] = False
    return found


def outline(scene: Scene, window: tuple[slice, slice]) -> Any:
    return scene.sar.odc.geobox[window].extent.geom


def with_stands(
    scene: Scene, taken: list[tuple[slice, slice]]
) -> tuple[gpd.GeoDataFrame, list[Any]]:
    """Add stands of trees to the register: some that are there, some that are not."""
    there = places(scene.tags == CLASSES.index("trees"), 3)
    free = scene.tags == CLASSES.index("cropland")
    for rows, cols in taken:
        free[rows, cols] = False
    gone = [outline(scene, window) for window in places(free, 3)]
    stands = [*(outline(scene, window) for window in there), *gone]
    table = gpd.GeoDataFrame({"class": "stand"}, geometry=stands, index=range(len(stands)),
                             crs=scene.spec.crs)  # fmt: skip
    return pd.concat([scene.reference, table], ignore_index=True), gone


def write_scene(path: Path, scene: Scene, power: Any, acquired: str) -> None:
    box = scene.sar.odc.geobox
    how = {"driver": "GTiff", "dtype": "float32", "count": 2, "height": box.shape[0],
           "width": box.shape[1], "crs": str(box.crs), "transform": box.affine,
           "nodata": np.nan}  # fmt: skip
    with rasterio.open(path, "w", **how) as file:
        file.write(power.astype(np.float32))
        file.descriptions = BANDS
        file.update_tags(SCALE="power", QUANTITY="sigma0", ACQUIRED=acquired, LOOKS="4.4")


def flags_of(case: Planted) -> gpd.GeoDataFrame:
    """Return what ``sar2opt anomalies`` flags, with the rules that the samples have."""
    folder = case.now.parent
    allow, expect = folder / "allow.toml", folder / "expect.toml"
    allow.write_text("".join(f"{use} = {list(tags)!r}\n" for use, tags in rules().items()))
    expect.write_text('stand = ["trees"]\n')
    wanted: dict[str, Any] = {"before": [case.before], "reference": case.register, "allow": allow}
    wanted["low_trust"] = 0  # of the picture, and not judged here
    if (gpd.read_file(case.register)["class"] == "stand").any():
        wanted["expect"] = expect
    config = sar2opt.RunConfig(
        scene={"path": case.now}, anomalies=wanted, output={"overwrite": True}
    )
    return sar2opt.flag_scene(config, folder / "flags.gpkg")


def flags_of_true_tags(case: Planted) -> gpd.GeoDataFrame:
    """Return what the register's rules flag in the true tags: the overlay without the tagger."""
    scene, register = case.scene, gpd.read_file(case.register)
    how = {"column": "class", "names": CLASSES, "reference": register}
    box = scene.sar.odc.geobox
    found = [
        reference_disagreement(scene.tags, box, allow=rules(), **how),
        missing_objects(scene.tags, box, expect={"stand": ["trees"]}, **how),
    ]
    return pd.concat(found, ignore_index=True)


def rules() -> dict[str, list[str]]:
    return {use.name.lower(): list(tags) for use, tags in ALLOW.items()}


def count(score: Score, case: Planted, flags: gpd.GeoDataFrame) -> None:
    """Add planted, found, flags and right ones of each kind that was looked for."""
    cover = make_landscape(case.scene.spec).cover
    to_pixel = ~case.scene.sar.odc.geobox.affine
    for kind in KINDS:
        truth = case.truth.geometry[case.truth["kind"] == kind].to_numpy()
        own = flags.geometry[flags["kind"] == kind].to_numpy()
        if kind in ("bright_target", "change", "flood") and not {"change", "bright_target"} & set(
            flags["kind"]
        ):
            continue
        # a flood is right as a change, too: what it is called is another question
        alike = ("change", "flood") if kind in ("change", "flood") else (kind,)
        meant = case.truth.geometry[case.truth["kind"].isin(alike)].to_numpy()
        every = flags.geometry[flags["kind"].isin(alike)].to_numpy()
        right = shapely.intersects(own, shapely.union_all(shapely.buffer(meant, NEAR_M)))
        score[kind][0] += len(truth)
        for shape in truth:
            seen = shapely.union_all(every[shapely.intersects(every, shape.buffer(NEAR_M))])
            least = 0 if kind == "bright_target" else COVERED * shape.area
            score[kind][1] += (
                bool(len(every)) and not seen.is_empty and (seen.intersection(shape).area >= least)
            )
        score[kind][2] += len(own)
        score[kind][3] += int(right.sum())
        for number, covers in ((4, BUILT), (5, WOODS)):
            mask = np.isin(cover, covers)
            score[kind][number] += sum(on(mask, to_pixel, shape) for shape in own[~right])


def on(mask: Mask, to_pixel: Any, shape: Any, reach: int = 3) -> bool:
    """Return whether the mask holds a pixel near a shape."""
    west, south, east, north = shape.bounds
    left, top = to_pixel @ (west, north)
    right, bottom = to_pixel @ (east, south)
    rows = slice(max(0, int(top) - reach), int(bottom) + reach)
    return bool(mask[rows, max(0, int(left) - reach) : int(right) + reach].any())


PARTS = {"planted": planted}
