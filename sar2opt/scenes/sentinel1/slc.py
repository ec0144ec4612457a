"""Sentinel-1 SLC, TOPS and stripmap: complex samples, made what GRD is but for the slant range.

1. Read the timing of each sub-swath; lay all bursts on one lattice of lines and samples.
2. Choose looks that make pixels of about 15 m on the ground, of EW 40 m; they are printed.
3. The geolocation grids, brought to that lattice, and the orbit place it as they place GRD.

The rasters are read here and not by xarray-sentinel 0.9.6: it drops the same number of lines at
every seam whatever the annotation calls valid, joins no sub-swaths, subtracts no noise, opens no
raster in a zip, and expands entities in XML. A test holds its calibration against this one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from sar2opt.config import SceneSettings
from sar2opt.errors import SceneError
from sar2opt.sar.deburst import Bursts, Share, share_out
from sar2opt.sar.geolocation import GeolocationGrid
from sar2opt.sar.orbit import RangeDoppler
from sar2opt.sar.swath_grid import joined_grid, multilooked
from sar2opt.scenes.sentinel1.annotation import Annotation
from sar2opt.scenes.sentinel1.channels import (
    check_same,
    facts_of,
    read_annotations,
    read_channels,
    stamp_of,
)
from sar2opt.scenes.sentinel1.container import Container
from sar2opt.scenes.sentinel1.radar import Radar
from sar2opt.scenes.sentinel1.slc_source import SlcSource, SubSwath
from sar2opt.scenes.sentinel1.source import Channel
from sar2opt.scenes.sentinel1.swath import Timing, parse_timing

# metres on the ground, nearly: as fine as the bandwidth of lines of IW allows; as GRDM of EW has
_PIXEL, _PIXEL_EW = 15.0, 40.0
_TOPS = {"iw": ["iw1", "iw2", "iw3"], "ew": ["ew1", "ew2", "ew3", "ew4", "ew5"]}
_MOST_LATTICE = 2**20  # lines or samples; a data take of 25 minutes has 730,000 lines
_OFF = 0.1  # of a line or sample; bursts that lie farther off the lattice are told of
_SAME = ("platform", "mode", "direction", "absolute_orbit", "datatake")


def read_radar(container: Container, settings: SceneSettings) -> Radar:
    """Return an SLC product in radar geometry; ``open_scene`` documents what is raised."""
    swaths, notes = [], []
    for name in _swaths(container, settings.polarisation):
        swath, quantity, more = _swath(container.of(name), settings)
        swaths.append(swath)
        notes += more
    timings = [swath.timing for swath in swaths]
    bursts, more = _lattice(container, timings)
    shares = share_out(bursts)
    grid = _grid(container, timings, bursts, shares)
    looks = _Looks.of(timings, grid)
    down, across = looks.down, looks.across
    first, earliest = swaths[0], min((timing.facts for timing in timings), key=_start)
    return Radar(
        source=SlcSource(
            tuple(
                SubSwath(share, swath.channels, swath.stamp)
                for share, swath in zip(shares, swaths, strict=True)
            ),
            down,
            across,
            lines=shares[0].line.size // down,
            samples=-(-max(int(share.stop.max()) for share in shares) // across),
        ),
        names=first.names,
        grid=multilooked(grid, down, across),
        model=_model(timings[0], bursts[0], down, across),
        spacing=looks.spacing,
        quantity=quantity,
        notes=[*dict.fromkeys(notes), *looks.notes, *more],
        attrs={
            "input_scale": "complex",
            "looks": looks.effective,
            **facts_of(first.channels[0].raster, first.stamp, earliest),
        },
    )


def _start(facts: Annotation) -> str:
    return facts.start


@dataclass(frozen=True)
class _Swath:
    timing: Timing
    names: tuple[str, ...]  # of the polarisations
    channels: tuple[Channel, ...]
    stamp: tuple[int, int]


def _swaths(container: Container, asked: str) -> list[str]:
    """Return the names of the sub-swaths; raises ``SceneError`` where one is missing."""
    found = container.swaths
    mode, *others = sorted({name.rstrip("0123456789") for name in found}) or [""]
    if mode == "wv":
        raise SceneError(
            f"{container.path}: wave mode: its vignettes, 20 km wide and 100 km apart, make no "
            "map: give IW, EW or stripmap of the place, or look into its OCN product for the waves"
        )
    if others or mode not in ("s", *_TOPS) or (mode == "s" and len(found) > 1):
        named = ", ".join(found).upper() or "no sub-swath"
        raise SceneError(
            f"{container.path}: an SLC product of {named}: IW (IW1 to IW3), EW (EW1 to EW5) and "
            "stripmap (S1 to S6) are read: give the GRD product of the same pass"
        )
    wanted = _TOPS.get(mode, found)
    for name in wanted:
        for polarisation in container.polarisations:
            needed = asked in ("auto", polarisation)
            if needed and polarisation not in container.of(name).polarisations:
                raise SceneError(
                    f"{container.path}: the sub-swath {name.upper()} is missing in "
                    f"{polarisation}: fetch the whole product"
                )
    return wanted


def _swath(part: Container, settings: SceneSettings) -> tuple[_Swath, str, list[str]]:
    """Return a sub-swath, the quantity of its channels, and what was assumed."""
    annotations = read_annotations(part, settings.polarisation, "SLC")
    channels, quantity, notes = read_channels(part, annotations, settings)
    name = next(iter(annotations))
    where = f"{part.path}: {part.where('annotation', name)}"
    timing = parse_timing(part.text("annotation", name), where)
    if [timing.swath] != part.swaths:
        raise SceneError(
            f"{where}: its name says {part.swaths[0]}, its content {timing.swath}: fetch it again"
        )
    stamp = stamp_of(part, annotations)
    return _Swath(timing, tuple(annotations), channels, stamp), quantity, notes


def _lattice(container: Container, timings: list[Timing]) -> tuple[list[Bursts], list[str]]:
    """Return all bursts on the lattice of the first line and the nearest sample, and a note."""
    check_same(container, {timing.swath.upper(): timing.facts for timing in timings}, _SAME)
    first, near = min(timing.burst[0] for timing in timings), timings[0].near
    interval, step = timings[0].interval, timings[0].step
    found, off = [], 0.0
    for timing in timings:
        down = (np.array(timing.burst) - first) / np.timedelta64(1, "ns") * 1e-9 / interval
        across = (timing.near - near) / step
        wrong = not np.allclose([timing.interval, timing.step], [interval, step], rtol=1e-6)
        wrong |= bool((np.diff(down) < 1).any() or across < 0)
        if wrong or max(down.max(), across) > _MOST_LATTICE:
            raise SceneError(
                f"{container.path}: the times or ranges of its bursts in {timing.swath.upper()} do "
                "not go together: fetch it again"
            )
        off = max(off, float(np.abs(down - down.round()).max()), abs(across - round(across)))
        top = down.round().astype(np.int64)
        found.append(Bursts(top, round(across), timing.first, timing.last))
    note = f"bursts lie up to {off:.1f} lines or samples off their common lattice"
    return found, [note] if off > _OFF else []


def _grid(
    container: Container, timings: list[Timing], bursts: list[Bursts], shares: list[Share]
) -> GeolocationGrid:
    """Return the geolocation grids of all sub-swaths as one, on the lattice."""
    grids = []
    for timing, own in zip(timings, bursts, strict=True):
        grid, count = timing.facts.grid, own.first.shape[1]
        index = np.clip(grid.line // count, 0, own.top.size - 1).astype(int)
        line = own.top[index] + grid.line - index * count
        if (np.diff(line) <= 0).any():
            raise SceneError(
                f"{container.path}: the geolocation grid of {timing.swath.upper()} is not in order "
                "of time: fetch it again"
            )
        grids.append(replace(grid, line=line, pixel=grid.pixel + own.left))
    seams = []
    for near, far in pairwise(shares):
        ends = near.stop[near.line >= 0], far.start[far.line >= 0]
        seams.append(sum(float(np.median(one)) if one.size else 0.0 for one in ends) / 2)
    try:
        return joined_grid(grids, seams)
    except ValueError as error:
        raise SceneError(f"{container.path}: {error}: fetch it again") from error


def _model(timing: Timing, bursts: Bursts, down: int, across: int) -> RangeDoppler | None:
    """Return the range-Doppler geometry of the means; times count from the first burst."""
    if timing.orbit is None:
        return None
    line = (down - 1) / 2 - float(bursts.top[0])
    sample = (across - 1) / 2 - bursts.left
    return RangeDoppler(
        timing.orbit,
        first_time=line * timing.interval,
        line_interval=down * timing.interval,
        first_range=timing.near + sample * timing.step,
        pixel_spacing=across * timing.step,
    )


@dataclass(frozen=True)
class _Looks:
    """How many lines and samples make a pixel, and what that is on the ground."""

    down: int
    across: int
    effective: float
    spacing: float  # of the map, metres
    notes: list[str]

    @classmethod
    def of(cls, timings: list[Timing], grid: GeolocationGrid) -> _Looks:
        """Choose looks that make pixels of the wanted size in the middle of the scene."""
        assert grid.incidence is not None
        middle = float(np.sin(np.radians(np.median(grid.incidence))))
        metres = timings[0].facts.spacing[0], timings[0].step / middle
        pixel = _PIXEL_EW if timings[0].facts.mode == "EW" else _PIXEL
        down, across = (max(round(pixel / one), 1) for one in metres)
        tall, wide = down * metres[0], across * metres[1]
        every = [timing.looks(down, across) for timing in timings]
        looks = round(float(np.mean(every)), 1)
        low, high = round(min(every), 1), round(max(every), 1)
        span = f" ({low:g} to {high:g})" if low < high else ""
        notes = [
            f"complex samples are detected, and averaged over {down} x {across} (lines, samples): "
            f"pixels of {tall:.1f} m along the track by {wide:.1f} m on the ground",
            f"{looks:g} looks in effect, by the bandwidths that the annotation states{span}",
        ]
        whole = float(max(np.floor(np.sqrt(tall * wide)), 1))  # so that slices share a lattice
        return cls(down, across, looks, whole, notes)
