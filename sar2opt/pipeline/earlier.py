"""Earlier scenes: opened onto the grid of the scene, checked, and measured against it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import xarray as xr

from sar2opt.config import RunConfig
from sar2opt.errors import BandError, ConfigError, SceneError
from sar2opt.pipeline.resources import open_scene_of
from sar2opt.raster import take_band
from sar2opt.sar.change import ChangeTest, fit_change_test
from sar2opt.sar.change_joint import JointTest, fit_joint_test
from sar2opt.scenes.alongside import lay_alongside
from sar2opt.tiles.sample import Sampled

_DAY = 86400.0  # seconds
_SAME_TRACK = 300.0  # seconds of the time of day; neighbouring tracks pass some 500 s apart
_SAME_DIRECTION = 3 * 3600.0  # ascending and descending passes lie some 12 hours apart
_WHOLE = 2**24  # pixels; as a scene, an earlier one is a single lazy chunk
_NOTABLE_DB = 0.5
_MOST_DB = 20.0  # no weather and no calibration of one quantity makes more


@dataclass(frozen=True)
class Changes:
    """What a block needs to know to tell changes, and a reader to judge them."""

    test: ChangeTest | JointTest
    bands: tuple[str, ...]  # that are compared, in the order of the scene
    order: tuple[int, ...]  # of ``anomalies.before``, the earliest first
    dates: tuple[str, ...]  # in words, the scene's own last
    doubt: str  # why scores are halved; "" if they are not
    sentences: tuple[str, ...]

    def gains(self, band: str) -> tuple[float, ...]:
        """Return by what the earlier dates must be multiplied to have the level of the scene."""
        return _tests(self.test)[self.bands.index(band)].gains[:-1]


def open_earlier(config: RunConfig, scene: xr.DataArray, band: str) -> tuple[xr.DataArray, ...]:
    """Open the earlier scenes that a configuration names, in its order, each on its own grid.

    They are opened as the scene is: scale, calibration and geocoding are the same. Each is
    ``(band, y, x)``, lazy: both bands of a scene of two if all have them and none was asked for,
    else ``band``. Raises ``BandError`` where one lacks ``band``, ``SceneError`` where one is of
    another radar or later.
    """
    opened = []
    for path in config.anomalies.before:
        own = config.scene.model_copy(update={"path": path, "aoi": None})
        earlier = open_scene_of(config.model_copy(update={"scene": own}))
        _check(path, earlier, scene, band)
        opened.append(earlier)
    both = len(scene.band) == 2 and config.scene.polarisation == "auto"
    if both and all(set(names_of(one)) == set(names_of(scene)) for one in opened):
        return tuple(opened)
    return tuple(take_band(one, band) for one in opened)


def lay_earlier(opened: Sequence[xr.DataArray], scene: xr.DataArray) -> tuple[xr.DataArray, ...]:
    """Lay earlier scenes on the grid of ``scene``, or of a part of it, lazily.

    Raises ``PlacementError`` where one does not overlap it.
    """
    return tuple(lay_alongside(one, scene.odc.geobox, _WHOLE) for one in opened)


def names_of(scene: xr.DataArray) -> tuple[str, ...]:
    """Return the names of a scene's bands."""
    return tuple(str(name) for name in scene.band.values)


def plan_changes(
    config: RunConfig, whole: Sampled, earlier: Sequence[Sampled], band: str
) -> Changes | None:
    """Fit the test to the scenes as a whole; None where there are no earlier ones.

    Raises ``SceneError`` where they have too little ground in common.
    """
    if not earlier:
        return None
    times = [one.scene.attrs["acquired"] for one in earlier]
    order = sorted(range(len(times)), key=times.__getitem__) if all(times) else range(len(times))
    dated = [*(earlier[i] for i in order), whole]
    series, scene = [one.scene for one in dated], whole.scene
    settings = config.anomalies
    bands = names_of(scene) if len(earlier[0].scene.band) == 2 else (band,)
    samples = [np.concatenate([one.windows(name) for one in dated]) for name in bands]
    how = settings.change_window, looks_of(scene, config)
    test: ChangeTest | JointTest
    try:
        test = (
            fit_change_test(samples[0], *how) if len(bands) == 1 else fit_joint_test(samples, *how)
        )
    except SceneError as error:
        raise SceneError(f"--before: {error}") from error
    doubts = [doubt for one in series[:-1] if (doubt := _doubt(one, scene))]
    dates = _dates(series)
    sentences = [
        f"changes: {' and '.join(bands)} against {', '.join(dates[:-1])}; {_looks(test)} looks in "
        f"windows of {test.window} x {test.window} pixels, as unchanged ground shows them; flagged "
        f"from "
        f"{settings.change_db:g} dB, with a share of {settings.change_false_share:g} expected to "
        "be false",
        *_levels(test, bands, dates),
        *_assumed(series, dates),
        *(f"{doubt}: scores of changes are halved" for doubt in doubts),
    ]
    if not all(times):
        sentences.append(
            "not all earlier scenes say when they were taken: their order is that given"
        )
    return Changes(test, bands, tuple(order), dates, "; ".join(doubts), tuple(sentences))


def looks_of(scene: xr.DataArray, config: RunConfig) -> float:
    """Return the number of looks that the scene states, or else the settings."""
    return float(scene.attrs.get("looks", config.prepare.looks))


def _check(path: Path, earlier: xr.DataArray, scene: xr.DataArray, band: str) -> None:
    there = [str(name) for name in earlier.band.values]
    if band not in there:
        raise BandError(
            f"{path}: it has {' and '.join(there)}, but {band} is compared: give an earlier scene "
            f"with {band}, or say --polarisation {there[0]} if the scene has that too"
        )
    radars = [one.attrs.get("frequency_band", "") for one in (earlier, scene)]
    if all(radars) and radars[0] != radars[1]:
        raise SceneError(
            f"{path}: it is of a {radars[0]}-band radar, the scene of a {radars[1]}-band one, and "
            "the two see different things: give an earlier scene of the same radar"
        )
    times = [one.attrs["acquired"] for one in (earlier, scene)]
    if all(times) and times[0] > times[1]:
        raise ConfigError(
            f"{path}: it was taken at {times[0]}, after the scene ({times[1]}): "
            "--before takes earlier scenes"
        )


def _doubt(earlier: xr.DataArray, scene: xr.DataArray) -> str:
    """Say how the view of an earlier scene differs, or "".

    By what the products say of their orbits; else by the time of day, which on the
    sun-synchronous orbits of SAR satellites is that of the track, to within a minute.
    """
    name = earlier.attrs["source"]
    for key, what in (("orbit_direction", "orbit direction"), ("relative_orbit", "relative orbit")):
        ours, theirs = scene.attrs.get(key), earlier.attrs.get(key)
        if ours and theirs and ours != theirs:
            return f"{name} has another {what} ({theirs}, the scene {ours})"
    if "relative_orbit" in scene.attrs and "relative_orbit" in earlier.attrs:
        return ""
    ours, theirs = (one.attrs["acquired"] for one in (scene, earlier))
    if "T" not in ours or "T" not in theirs:
        return ""
    between = (_time(ours) - _time(theirs)).total_seconds() % _DAY
    between = min(between, _DAY - between)
    if between <= _SAME_TRACK:
        return ""
    what = "orbit direction" if between > _SAME_DIRECTION else "relative orbit"
    return (
        f"{name} seems to have another {what}, by the time of day "
        f"({theirs[11:16]}, the scene {ours[11:16]} UTC)"
    )


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text.removesuffix("Z"))


def _dates(series: Sequence[xr.DataArray]) -> tuple[str, ...]:
    """Return a word for each scene: its day, its time where days repeat, else its name."""
    for length in (10, 16):
        dates = [one.attrs["acquired"][:length] or str(one.attrs["source"]) for one in series]
        if len(set(dates)) == len(dates):
            return tuple(dates)
    return tuple(f"{date} (scene {number})" for number, date in enumerate(dates, start=1))


def _assumed(series: Sequence[xr.DataArray], dates: Sequence[str]) -> list[str]:
    """Return what was assumed of earlier scenes, but not of the scene."""
    scene, sentences = series[-1].attrs, []
    for one, date in zip(series[:-1], dates, strict=False):
        notes = [note for note in one.attrs["assumptions"] if note not in scene["assumptions"]]
        if one.attrs["quantity"] != scene["quantity"]:
            notes.append(
                f"it is {one.attrs['quantity']}, the scene {scene['quantity']}: the difference is "
                "taken for the same all over"
            )
        sentences += [f"{date}: {note}" for note in notes]
    return sentences


def _tests(test: ChangeTest | JointTest) -> tuple[ChangeTest, ...]:
    return test.tests if isinstance(test, JointTest) else (test,)


def _looks(test: ChangeTest | JointTest) -> str:
    return " and ".join(f"{one.looks:.0f}" for one in _tests(test))


def _levels(test: ChangeTest | JointTest, bands: Sequence[str], dates: Sequence[str]) -> list[str]:
    """Say by how much earlier scenes lie above or below this one on most ground."""
    sentences = []
    gains = [
        (date, f" in {band}" if len(bands) > 1 else "", gain)
        for one, band in zip(_tests(test), bands, strict=True)
        for date, gain in zip(dates, one.gains[:-1], strict=False)
    ]
    for date, where, gain in gains:
        above = -10 * float(np.log10(gain))
        side = "above" if above > 0 else "below"
        level = f"{abs(above):.1f} dB {side} the scene on most ground{where}"
        if abs(above) > _MOST_DB:
            raise SceneError(
                f"--before: {date} lies {level}: one of the two is in other units than it was "
                "taken to be: write them into its tags, or say --scale"
            )
        if abs(above) >= _NOTABLE_DB:
            sentences.append(
                f"{date} lies {level}: taken for calibration or weather, and taken off"
            )
    return sentences
