"""The page that lies beside the sample scenes."""

from __future__ import annotations

from sar2opt.synth.scene import Scene
from sar2opt.synth.surfaces import CLASSES

_HEAD = """# Sample scenes

**Every file in this folder is simulated.** `sar2opt synth data_samples/ --overwrite` writes them,
the same bytes at every call. The places do not exist: they are laid into the open Tyrrhenian Sea,
so that nobody takes them for land. Do not use them to judge how well a model does on real scenes.

| file | what |
|---|---|
| `harbour.tif` | a port city with fields and hills; 16-bit amplitude, 0 is no data: \
sigma0 = ({step} * number)^2 |
| `valley.tif` | a valley between steep mountains, layover and shadow; sigma0 in dB, float |
| `*_optical.tif` | the sunlit image of the same ground, red green blue, 8 bit |
| `*_tags.tif` | the true classes: {classes}; 255 no data |
| `*_truth.gpkg` | layers `anomalies` (what is planted), `reference` (the register), `aoi` |
| `valley_terrain.tif` | height in metres; layover (1) and shadow (2) |
| `harbour_landuse.gpkg` | the register alone, for `--reference`; its column is `class` |
| `allow.toml` | which tags may occur in which class of the register, for `--allow` |
| `aoi.geojson` | an area of interest in the harbour scene, for `--aoi` |

Backscatter is Sentinel-1-like (C-band, VV and VH, 10 m): class means with texture, double bounce
at walls that face the radar, terrain effect, and gamma speckle whose neighbours are correlated
as in GRD products. The register is right wherever no `reference_disagreement` is planted.
"""


def readme(*scenes: Scene, step: float) -> str:
    """Return the page for the sample scenes, in Markdown; ``step`` is harbour.tif's unit."""
    classes = ", ".join(f"{code} {name}" for code, name in enumerate(CLASSES))
    parts = [_HEAD.format(step=step, classes=classes)]
    for scene in scenes:
        parts.append(f"\n## {scene.spec.name}\n\n{_facts(scene)}. Planted in it:\n\n")
        parts.append("| kind | what | x | y | area, m2 |\n|---|---|---|---|---|\n")
        for row in scene.anomalies.itertuples():
            at = row.geometry.centroid
            area = f"{row.geometry.area:.0f}"
            parts.append(f"| {row.kind} | {row.what} | {at.x:.0f} | {at.y:.0f} | {area} |\n")
    return "".join(parts)


def _facts(scene: Scene) -> str:
    spec = scene.spec
    rows, cols = spec.shape
    return (
        f"{cols} x {rows} pixels of {spec.pixel_m:g} m in {spec.crs}, {spec.looks:g} looks, "
        f"seen at {spec.incidence_deg:g} degrees towards {spec.look_azimuth_deg:g} degrees"
    )
