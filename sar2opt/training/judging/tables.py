"""Rows of figures as tables for people: what a column is called, means, and in what order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sar2opt.training.judging.conformal import Coverage
from sar2opt.training.judging.judge import ALL, Row
from sar2opt.training.pairs.pair import Look


@dataclass(frozen=True)
class Column:
    """A figure as a table shows it."""

    name: str
    title: str
    digits: int
    meaning: str


COLUMNS = (
    Column("psnr", "PSNR", 2, "peak signal-to-noise ratio in dB; higher is better"),
    Column("ssim", "SSIM", 3, "structural similarity (Wang et al. 2004); 1 is perfect"),
    Column("mae", "MAE", 3, "mean absolute error; 1 is black for white"),
    Column("spectral_angle", "angle", 1, "mean angle between the colours in degrees"),
    Column("psnr_8", "PSNR 8", 2, "PSNR after averaging 8 x 8 pixels"),
    Column("ssim_8", "SSIM 8", 3, "SSIM after averaging 8 x 8 pixels"),
    Column("layout", "layout", 3, "mean of the layout correlations, Pearson's r after averaging "
           "8 x 8 pixels: is the colour in the right place, whatever its tone"),
    Column("layout_red", "R", 3, "layout correlation of red"),
    Column("layout_green", "G", 3, "layout correlation of green"),
    Column("layout_blue", "B", 3, "layout correlation of blue"),
    Column("layout_green_red", "G-R", 3, "layout correlation of green minus red"),
    Column("sharpness", "sharp", 2, "mean gradient over that of the real image; 1 is right, a "
           "blurred image has less, a noisy one more"),
    Column("spectrum", "spectrum", 2, "distance of the radial power spectra in dB"),
    Column("copy_ratio", "copy", 2, "distance to the radar image over distance to the real one; "
           "a copy of the input has 0, what is as far from both has 1"),
    Column("lite0_perceptual", "lite0 distance", 3, "perceptual distance in the features of "
           "EfficientNet-lite0; not LPIPS"),
    Column("lite0_frechet", "lite0 Frechet", 1, "Frechet distance in the features of "
           "EfficientNet-lite0; not FID"),
    Column("agreement", "same cover", 3, "share of pixels that the optical land-cover teacher tags "
           "alike on the generated and on the real image"),
    Column("lpips", "LPIPS", 3, "learned perceptual distance (Zhang et al. 2018, AlexNet)"),
    Column("dists", "DISTS", 3, "structure and texture distance (Ding et al. 2020)"),
    Column("fid", "FID", 1, "Frechet Inception distance (Heusel et al. 2017) of windows of "
           "256 pixels; few images make it larger, so compare within this table only"),
)  # fmt: skip


@dataclass(frozen=True)
class Table:
    """Cells ready to print, with the columns they stand in."""

    columns: tuple[Column, ...]
    groups: tuple[tuple[str, tuple[tuple[str, tuple[str, ...]], ...]], ...]
    """By group of images: its title, and for each method its name and its cells."""


def table_of(rows: Sequence[Row], look: Look, *, classes: bool = False) -> Table:
    """Return the table of a look: by source or, asked for, by class within a source.

    Columns of which nothing is known are left out.
    """
    shown = [row for row in rows if row.look == look and (row.label != ALL) == classes]
    columns = tuple(
        column
        for column in COLUMNS
        if any(np.isfinite(row.figures.get(column.name, np.nan)) for row in shown)
    )
    groups: dict[str, list[tuple[str, tuple[str, ...]]]] = {}
    for row in shown:
        cells = tuple(cell(row.figures.get(c.name, np.nan), c.digits) for c in columns)
        groups.setdefault(title_of(row), []).append((row.method, cells))
    return Table(columns, tuple((title, tuple(lines)) for title, lines in groups.items()))


def title_of(row: Row) -> str:
    """Return what a group of images is called."""
    name = row.source if row.label == ALL else f"{row.source}, {row.label}"
    return f"{name} ({row.images})"


def cell(value: float, digits: int) -> str:
    """Return a figure as text; a dash where it says nothing."""
    return f"{value:.{digits}f}" if np.isfinite(value) else "-"


def share_of(coverage: Coverage) -> str:
    """Return a coverage in percent, with its standard error where there is one."""
    error = f" ± {100 * coverage.error:.1f}" if np.isfinite(coverage.error) else ""
    return f"{100 * coverage.share:.1f}{error} %" if np.isfinite(coverage.share) else "-"


def markdown(table: Table) -> str:
    """Return a table as Markdown."""
    head = ["images", "method", *(column.title for column in table.columns)]
    lines = [f"| {' | '.join(head)} |", "|---|---|" + "---:|" * len(table.columns)]
    for title, methods in table.groups:
        for number, (method, cells) in enumerate(methods):
            lines.append(f"| {' | '.join(['' if number else title, method, *cells])} |")
    return "\n".join(lines) + "\n"
