"""The settings: what may be set, its default, and in a sentence what it does."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

Despeckle = Literal["none", "boxcar", "lee", "refined-lee", "lee-sigma", "frost", "gamma-map"]
DESPECKLE: tuple[str, ...] = get_args(Despeckle)
Clutter = Literal["auto", "gamma", "k", "lognormal", "weibull"]
Detector = Literal["cell-averaging", "ordered-statistic"]
Scale = Literal["auto", "power", "amplitude", "dB", "display-amplitude", "display-dB"]


class Settings(BaseModel):
    """Base of all settings: frozen, and strict about names."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SceneSettings(Settings):
    """How the scene file is read."""

    path: Path | None = Field(None, description="the scene file; given on the command line")
    scale: Scale = Field(
        "auto",
        description="what the numbers mean: auto, power, amplitude, dB, display-amplitude "
        "(8 bit, proportional to amplitude), display-dB (8 bit, proportional to dB)",
    )
    polarisation: str = Field(
        "auto", description="band for one-band models: auto (the model's own order), vv, vh, hh, hv"
    )
    nodata: float | None = Field(
        None, description="value that means no data, instead of the file's own"
    )
    aoi: Path | None = Field(None, description="vector file: only this area is processed")
    calibration: Literal["auto", "sigma0", "gamma0", "beta0", "none"] = Field(
        "auto",
        description="radiometry of a product with calibration tables (Sentinel-1): auto "
        "(gamma0), sigma0, gamma0, beta0, none (the square of its numbers)",
    )
    noise: Literal["subtract", "keep"] = Field(
        "subtract", description="thermal noise of such a product: subtract, keep"
    )
    geocode: Literal["auto", "gcp", "ellipsoid", "terrain"] = Field(
        "auto",
        description="how radar geometry is laid on the map: gcp (at the heights of the product's "
        "geolocation grid), ellipsoid (at height 0), terrain (at those of dem); auto is terrain "
        "where dem is given, else gcp",
    )
    crs: str | None = Field(
        None, description="CRS of the map, such as EPSG:32633, instead of UTM or the file's own"
    )
    resolution: float | None = Field(
        None, gt=0, description="pixel of the map in units of its CRS, instead of the product's"
    )
    like: Path | None = Field(None, description="raster file whose grid the map takes over")
    dem: Path | None = Field(None, description="terrain model: heights in metres, in any CRS")


class PrepareSettings(Settings):
    """What happens to the backscatter before the models see it."""

    despeckle: Despeckle = Field("none", description=f"speckle filter: {', '.join(DESPECKLE)}")
    despeckle_window: int | None = Field(
        None,
        ge=3,
        le=15,
        description="side of the filter window, odd, pixels; left out, the filter's own: 5, but 7 "
        "of refined-lee, which has no other, and 9 of lee-sigma",
    )
    looks: float = Field(
        4.4,
        gt=0,
        description="equivalent number of looks where the file does not say "
        "(4.4: Sentinel-1 IW GRD)",
    )


class TranslateSettings(Settings):
    """The SAR-to-optical translation."""

    model: str = Field(
        "translator-s1", description="name of a shipped bundle, or a .safetensors file"
    )
    look: str = Field(
        "auto", description="natural, clear, vivid or grey; auto is the model's default look"
    )


class TagSettings(Settings):
    """The land-cover tags."""

    model: str = Field("tagger-s1", description="name of a shipped bundle, or a .safetensors file")


class ObjectSettings(Settings):
    """Tags to polygons."""

    min_area_m2: float = Field(5000.0, ge=0, description="what is smaller is no object")
    min_target_m2: float = Field(
        300.0, ge=0, description="the same for ships and large structures, which are small"
    )
    max_hole_m2: float = Field(2000.0, ge=0, description="smaller holes are filled")
    smooth: bool = Field(
        True, description="outlines lose their stairs; neighbours still share their border"
    )
    fill: bool = Field(
        True,
        description="what is smaller than min_area_m2 goes to the neighbour with the longest "
        "common border; else it leaves a gap",
    )
    rectangles: tuple[str, ...] = Field(
        (),
        description="tags whose objects become rectangles where one fits; their neighbours keep "
        "the border that they shared",
    )
    before: Path | None = Field(
        None, description="GeoPackage of an earlier scene, whose objects keep their ids"
    )


class AnomalySettings(Settings):
    """What is flagged."""

    false_alarm: float = Field(
        1e-7, gt=0, lt=0.1, description="CFAR: false-alarm probability per background pixel"
    )
    detector: Detector = Field(
        "cell-averaging",
        description="CFAR: what a pixel is held against: cell-averaging (the mean of the ring "
        "around it) or ordered-statistic (the value that 3/4 of the ring lie below: for crowded "
        "ground, several times slower)",
    )
    guard: int = Field(9, ge=1, description="CFAR: half side of the guard window, pixels")
    background: int = Field(
        20, ge=2, description="CFAR: half side of the background window, pixels"
    )
    dark_db: float = Field(
        5.0, description="CFAR: background must lie this far below the scene's level, dB"
    )
    even_db: float = Field(
        1.5,
        ge=0,
        description="CFAR: a scene whose spread exceeds that of speckle by no more than this, "
        "as open sea, is looked at as a whole, dB",
    )
    clutter: Clutter = Field(
        "auto",
        description="CFAR: law of the background, fitted to the scene: auto (the one that fits "
        "best), gamma, k, lognormal, weibull",
    )
    min_pixels: int = Field(3, ge=1, description="smaller bright targets are not reported")
    before: tuple[Path, ...] = Field(
        (), description="earlier scenes of the same place, against which changes are told"
    )
    change_window: int = Field(
        3, ge=1, le=15, description="changes: side of the windows that are compared, odd, pixels"
    )
    change_db: float = Field(3.0, ge=0, description="changes: smaller ones are not reported, dB")
    change_false_share: float = Field(
        0.01, gt=0, lt=1, description="changes: share of the flagged pixels that may be chance"
    )
    flood_model: str = Field("flood-s1", description="changes: bundle that tells floods, or none")
    reference: Path | None = Field(None, description="vector layer of what should be there")
    column: str = Field("class", description="column of the reference layer that names its class")
    allow: Path | None = Field(None, description="TOML: which tags may occur in which class")
    expect: Path | None = Field(
        None, description="TOML: of which tags a class must show one, else it is missing"
    )
    join: Path | None = Field(
        None, description="CSV, Parquet or Excel: its columns go to what lies in the reference"
    )
    on: str | None = Field(None, description="column of table and reference that they share")
    tolerance_m: float | None = Field(
        None, ge=0, description="ground beside the edge of a feature that is not judged; a pixel"
    )
    min_area_m2: float = Field(10000.0, ge=0, description="smaller disagreements are not reported")
    wrong_share: float = Field(
        0.01,
        gt=0,
        lt=1,
        description="share of the ground of a class on which the reference may be wrong; what the "
        "tagger doubts beyond that counts as its own error",
    )
    low_trust: float = Field(
        30.0,
        ge=0,
        le=100,
        description="areas whose mean trust lies below this are flagged, percent; 0 flags none, "
        "and spares anomalies alone the translation",
    )
    low_trust_area_m2: float = Field(
        100_000.0, gt=0, description="smaller areas of low trust are not reported"
    )
    most: int = Field(
        0, ge=0, description="of each kind, so many are reported, the strongest; 0 is all"
    )
    known: Path | None = Field(
        None, description="GeoPackage of an earlier scene, whose anomalies keep their ids"
    )


class EngineSettings(Settings):
    """Where and how the work is done; none of it changes a pixel by more than a grey level."""

    block: int = Field(1024, ge=64, description="side of a block, pixels")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="auto, cpu or cuda")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="auto takes bfloat16 where the processor computes in it"
    )
    workers: int = Field(0, ge=0, description="threads; 0 is one a core")
    scheduler: str = Field("threads", description="threads, or tcp://HOST:PORT of a Dask cluster")


class OutputSettings(Settings):
    """What is written, and where."""

    folder: Path = Field(Path("out"), description="products land in FOLDER/SCENE/")
    overwrite: bool = Field(False, description="replace products that exist")
    evidence: int = Field(0, ge=0, description="of so many anomalies, two small pictures each")
    vectors: tuple[Literal["geojson", "flatgeobuf", "geoparquet"], ...] = Field(
        (), description="vector formats beside the GeoPackage"
    )


class RunConfig(Settings):
    """All settings of ``sar2opt run``."""

    scene: SceneSettings = SceneSettings()
    prepare: PrepareSettings = PrepareSettings()
    translate: TranslateSettings = TranslateSettings()
    tag: TagSettings = TagSettings()
    objects: ObjectSettings = ObjectSettings()
    anomalies: AnomalySettings = AnomalySettings()
    engine: EngineSettings = EngineSettings()
    output: OutputSettings = OutputSettings()
