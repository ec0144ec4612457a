"""Everything that sar2opt raises on purpose.

The tree::

    Sar2optError
    ├── SceneError            a scene file cannot be used
    │   ├── PlacementError    ... because its pixels cannot be placed on the Earth
    │   ├── UnitsError        ... because its units are unknown or contradict --scale
    │   └── BandError         ... because it lacks the band that was asked for
    ├── LayerError            a vector file (area of interest, reference) cannot be used
    ├── ConfigError           a setting is unknown or out of range
    ├── PairsError            a set of pairs cannot be formed, or is not what it says
    ├── ModelError            a model bundle is missing, damaged or unsafe
    ├── TrainingError         a training cannot begin or go on
    ├── OutputError           the products cannot be written
    └── ConventionError       an array breaks the convention of ``raster.py``

Each message is one line that says what is wrong and what to do about it. The command line
prints that line and ends with exit code 2.
"""


class Sar2optError(Exception):
    """Base of all errors that sar2opt raises on purpose."""


class SceneError(Sar2optError):
    """A scene file cannot be used."""


class PlacementError(SceneError):
    """A scene's pixels cannot be placed on the Earth."""


class UnitsError(SceneError):
    """A scene's units are unknown, or contradict what was asked for."""


class BandError(SceneError):
    """A scene lacks the band that was asked for."""


class LayerError(Sar2optError):
    """A vector file cannot be used."""


class ConfigError(Sar2optError):
    """A setting is unknown or out of range."""


class PairsError(Sar2optError):
    """A set of pairs cannot be formed, or is not what it says."""


class ModelError(Sar2optError):
    """A model bundle is missing, damaged or unsafe."""


class TrainingError(Sar2optError):
    """A training cannot begin or go on."""


class OutputError(Sar2optError):
    """The products cannot be written."""


class ConventionError(Sar2optError):
    """An array breaks the convention of ``raster.py``."""
