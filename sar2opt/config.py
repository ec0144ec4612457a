"""Typed settings, to and from TOML; an unknown key is an error that names the nearest known one."""

from __future__ import annotations

import difflib
import tomllib
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sar2opt.errors import ConfigError

Despeckle = Literal["none", "boxcar", "lee", "refined-lee", "lee-sigma", "frost", "gamma-map"]
DESPECKLE: tuple[str, ...] = get_args(Despeckle)
Clutter = Literal["auto", "gamma", "k", "lognormal", "weibull"]
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

    min_area_m2: float = Field(5000.0, ge=0, description="smaller objects are left out")
    max_hole_m2: float = Field(2000.0, ge=0, description="smaller holes are filled")
    smooth: bool = Field(
        True, description="outlines lose their stairs; neighbours still share their border"
    )
    before: Path | None = Field(
        None, description="GeoPackage of an earlier scene, whose objects keep their ids"
    )


class AnomalySettings(Settings):
    """What is flagged."""

    false_alarm: float = Field(
        1e-7, gt=0, lt=0.1, description="CA-CFAR: false-alarm probability per background pixel"
    )
    guard: int = Field(9, ge=1, description="CA-CFAR: half side of the guard window, pixels")
    background: int = Field(
        20, ge=2, description="CA-CFAR: half side of the background window, pixels"
    )
    dark_db: float = Field(
        5.0, description="CA-CFAR: background must lie this far below the scene's level, dB"
    )
    even_db: float = Field(
        1.5,
        ge=0,
        description="CA-CFAR: a scene whose spread exceeds that of speckle by no more than this, "
        "as open sea, is looked at as a whole, dB",
    )
    clutter: Clutter = Field(
        "auto",
        description="CA-CFAR: law of the background, fitted to the scene: auto (the one that fits "
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


S = TypeVar("S", bound=Settings)


def load_config(path: Path | None, kind: type[S], overrides: dict[str, Any] | None = None) -> S:
    """Read settings of type ``kind`` from a TOML file, and lay ``overrides`` over them.

    ``overrides`` maps dotted names (``scene.scale``) to values; a value of None is skipped.
    Raises ``ConfigError`` in one line.
    """
    values: dict[str, Any] = {}
    if path is not None:
        try:
            values = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise ConfigError(f"{path}: cannot be read as TOML: {error}") from error
    for dotted, value in (overrides or {}).items():
        if value is not None:
            _set(values, dotted, value)
    return parse_config(values, kind, str(path or "settings"))


def parse_config(values: dict[str, Any], kind: type[S], where: str = "settings") -> S:
    """Build settings of type ``kind`` from nested plain values; raises ``ConfigError``."""
    _refuse_unknown(values, kind, where, "")
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"{where}: {first_error(error)}") from error


def first_error(error: ValidationError) -> str:
    """Say in one line which value is wrong, and how."""
    first = error.errors()[0]
    return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"


def default_toml(kind: type[Settings]) -> str:
    """Return the default settings as commented TOML, printed from the types."""
    lines = [f"# {_first_line(kind)}"]
    plain = {n: f for n, f in kind.model_fields.items() if not _is_section(f.annotation)}
    for name, field in plain.items():
        lines += _entry(name, field.default, field.description)
    for name, field in kind.model_fields.items():
        if _is_section(field.annotation):
            section: type[Settings] = field.annotation  # type: ignore[assignment]
            lines += ["", f"[{name}]  # {_first_line(section)}"]
            for key, sub in section.model_fields.items():
                lines += _entry(key, sub.default, sub.description)
    return "\n".join(lines) + "\n"


def to_toml(settings: Settings) -> str:
    """Return settings as TOML that ``load_config`` reads back; what is not set is left out."""
    lines: list[str] = []
    for name, value in settings:
        if isinstance(value, Settings):
            body = [f"{key} = {_toml(item)}" for key, item in value if item is not None]
            lines += ["", f"[{name}]", *body]
        elif value is not None:
            lines.insert(0, f"{name} = {_toml(value)}")
    return "\n".join(lines).strip() + "\n"


def _entry(name: str, default: Any, description: str | None) -> list[str]:
    comment = f"# {description}" if description else ""
    if default is None or repr(default) == "PydanticUndefined":
        return [comment, f"# {name} ="]
    return [comment, f"{name} = {_toml(default)}"]


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (tuple, list)):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    if isinstance(value, (int, float)):
        return repr(value)
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


def _first_line(kind: type[Settings]) -> str:
    return (kind.__doc__ or "").strip().splitlines()[0]


def _is_section(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, Settings)


def _set(values: dict[str, Any], dotted: str, value: Any) -> None:
    *sections, name = dotted.split(".")
    for section in sections:
        values = values.setdefault(section, {})
    values[name] = value


def _refuse_unknown(values: dict[str, Any], kind: type[Settings], where: str, prefix: str) -> None:
    for name, value in values.items():
        if name not in kind.model_fields:
            near = difflib.get_close_matches(name, kind.model_fields, n=1, cutoff=0.0)[0]
            raise ConfigError(
                f"{where}: unknown setting '{prefix}{name}'; the nearest known is '{prefix}{near}'"
            )
        annotation = kind.model_fields[name].annotation
        if _is_section(annotation) and isinstance(value, dict):
            _refuse_unknown(value, annotation, where, f"{prefix}{name}.")  # type: ignore[arg-type]
