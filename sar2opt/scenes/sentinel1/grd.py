"""Sentinel-1 GRD: detected and multilooked by ESA, in ground range."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sar2opt.config import SceneSettings
from sar2opt.scenes.sentinel1.annotation import Annotation
from sar2opt.scenes.sentinel1.channels import facts_of, read_annotations, read_channels, stamp_of
from sar2opt.scenes.sentinel1.container import Container
from sar2opt.scenes.sentinel1.radar import Radar
from sar2opt.scenes.sentinel1.source import Channel, GrdSource

_IW_LOOKS = 4.4  # equivalent, of GRDH at 10 m: ESA, Sentinel-1 product specification
_CLEAN_RIMS = "2018-03-13"  # IPF 2.9 and later


def read_radar(container: Container, settings: SceneSettings) -> Radar:
    """Return a GRD product in radar geometry; ``open_scene`` documents what is raised."""
    annotations = read_annotations(container, settings.polarisation, "GRD")
    channels, quantity, notes = read_channels(container, annotations, settings)
    *_, last = annotations.values()
    rim = _rim(container, last, channels, notes)
    stamp = stamp_of(container, annotations)
    source = GrdSource(channels, last.lines, last.samples, rim, stamp)
    first = next(iter(annotations.values()))
    looks, looks_note = _looks(first)
    facts = facts_of(channels[0].raster, stamp, first)
    return Radar(
        source=source,
        names=tuple(annotations),
        grid=first.grid,
        model=first.geometry,
        spacing=float(np.sqrt(np.prod(first.spacing))),
        quantity=quantity,
        notes=[*notes, looks_note],
        attrs={"input_scale": "amplitude", "looks": looks, **facts},
    )


def _rim(
    container: Container, facts: Annotation, channels: Sequence[Channel], notes: list[str]
) -> str:
    """Return the raster that tells where the dark rim ends, "" for a product that has none.

    It is the co-polarised one: cross-polarised calm sea is as dark as the rim. Products that were
    processed anew have noise of the new form, and a clean rim.
    """
    anew = any(channel.noise is not None and channel.noise.azimuth for channel in channels)
    if facts.start >= _CLEAN_RIMS or anew:
        return ""
    name = {"vh": "vv", "hv": "hh"}.get(facts.polarisation, facts.polarisation)
    if ("measurement", name) not in container.files:
        notes.append(f"a product from before March 2018 without {name}: its dark rim stays in")
        return ""
    notes.append("a product from before March 2018: the dark rim along its sides is no data")
    return container.raster(name)


def _looks(facts: Annotation) -> tuple[float, str]:
    if facts.mode == "IW" and facts.spacing == (10.0, 10.0):
        return _IW_LOOKS, f"{_IW_LOOKS:g} looks, by the type of product (IW GRDH)"
    looks = facts.nominal_looks
    return looks, f"{looks:g} looks, as processed; they overlap, so in effect there are fewer"
