"""Floods that a net tells from two dates: its probabilities to anomalies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import geopandas as gpd
import numpy as np
from odc.geo.geobox import GeoBox

from sar2opt.overlay.anomalies import anomaly_table, area_in_words
from sar2opt.overlay.changes import band_reader, db_of_code, p_of_code
from sar2opt.overlay.components import Components, Progress, Read, find_components
from sar2opt.overlay.corners import Array
from sar2opt.overlay.objects import check_shapes
from sar2opt.overlay.outlines import outline_numbered
from sar2opt.raster import NO_TAG

FLOODED = 50  # percent of probability from which a pixel is called flooded


def floods(
    flooded: Any,
    geobox: GeoBox,
    *,
    found: Any,
    level_db: float,
    dates: Sequence[str],
    model: str,
    tag: str = "water",
    min_pixels: int = 1,
    doubt: str = "",
    block: int = 1024,
    workers: int = 0,
    progress: Progress | None = None,
) -> gpd.GeoDataFrame:
    """Return one anomaly of the kind ``flood`` for each group of pixels that a net calls flooded.

    ``flooded`` is uint8 ``(y, x)``: the probability in percent, 255 is no data. ``found`` and
    ``level_db`` as for ``changes``, for what backscatter did; ``dates`` are the two that the net
    compared. The score is the mean probability; there is no q-value, as the net is no test.
    ``p_value`` is what the test of changes says of the place's clearest pixel: 1 where backscatter
    moved by less than that counts, NaN where nothing was tested.
    ``doubt`` says why scores are halved. ``min_pixels``, ``block``, ``workers`` and ``progress`` as
    for ``changes``. Raises ``ConventionError`` when shapes differ.
    """
    check_shapes(geobox, flooded=flooded)

    def find(values: Read, progress: Progress | None = None) -> Components:
        return find_components(
            lambda rows, columns: is_flooded(flooded[rows, columns]),
            geobox.shape.yx,
            background=0,
            values=values,
            min_pixels=min_pixels,
            connectivity=8,
            block=block,
            workers=workers,
            progress=progress,
        )

    sure = find(lambda rows, columns: np.asarray(flooded[rows, columns]), progress)
    table, order = outline_numbered(sure, geobox, workers=workers)
    pixels = table["pixels"].to_numpy()
    before, after = (find(band_reader(found, band)).total[order] / pixels for band in (2, 3))
    clearest = find(band_reader(found, 0)).peak[order]
    table = table.assign(
        before_db=db_of_code(before, level_db),
        after_db=db_of_code(after, level_db),
        since=dates[1],
        p_value=p_of_code(clearest),
    )
    chance = sure.total[order] / pixels / 100
    reasons = [
        _reason(row, mean, dates, model, doubt)
        for row, mean in zip(table.itertuples(), chance, strict=True)
    ]
    score = chance * (0.5 if doubt else 1.0)
    return anomaly_table(table, "flood", score, [tag] * len(table), reasons)


def is_flooded(percent: Any) -> Array:
    """Return 1 where a probability in percent calls a pixel flooded, else 0; 255 is no data."""
    values = np.asarray(percent)
    flooded: Array = ((values >= FLOODED) & (values != NO_TAG)).astype(np.uint8)
    return flooded


def _reason(flood: Any, chance: float, dates: Sequence[str], model: str, doubt: str) -> str:
    moved = "rose" if flood.after_db > flood.before_db else "fell"
    halved = f"; score halved: {doubt}" if doubt else ""
    return (
        f"Under water since {dates[0]}, says the net {model} with a mean probability of "
        f"{chance:.0%}: on {dates[1]} backscatter over {area_in_words(flood.area_m2)} {moved} by "
        f"{abs(flood.after_db - flood.before_db):.0f} dB (from {flood.before_db:.0f} to "
        f"{flood.after_db:.0f} dB){halved}."
    )
