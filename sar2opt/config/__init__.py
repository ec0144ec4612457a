"""Typed settings, and the way they take to and from TOML."""

from sar2opt.config.settings import (
    DESPECKLE,
    AnomalySettings,
    Clutter,
    Despeckle,
    EngineSettings,
    ObjectSettings,
    OutputSettings,
    PrepareSettings,
    RunConfig,
    Scale,
    SceneSettings,
    Settings,
    TagSettings,
    TranslateSettings,
)
from sar2opt.config.toml import default_toml, first_error, load_config, parse_config, to_toml

__all__ = [
    "DESPECKLE",
    "AnomalySettings",
    "Clutter",
    "Despeckle",
    "EngineSettings",
    "ObjectSettings",
    "OutputSettings",
    "PrepareSettings",
    "RunConfig",
    "Scale",
    "SceneSettings",
    "Settings",
    "TagSettings",
    "TranslateSettings",
    "default_toml",
    "first_error",
    "load_config",
    "parse_config",
    "to_toml",
]
