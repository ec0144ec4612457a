"""A radar band that the translator was not trained on halves the trust, and is said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from planted import settings
from scene_files import speckled, write

import sar2opt


def test_a_radar_in_x_band_halves_the_trust(tmp_path: Path) -> None:
    runs = {}
    for radar in ("C", "X"):
        tags = {"SCALE": "power", "LOOKS": "4.4", "FREQUENCY_BAND": radar}
        path = write(tmp_path / f"{radar}_vh.tif", speckled(level_db=-19), tags=tags)
        runs[radar] = sar2opt.run(settings(path, tmp_path / "out"))
    said = "the radar works in X band, and translator-s1 was trained on C band: trust is halved"
    assert said in runs["X"].assumptions
    assert not any("radar works in" in text for text in runs["C"].assumptions)
    trust = {radar: np.asarray(run.trust.values, float) for radar, run in runs.items()}
    np.testing.assert_allclose(trust["X"], trust["C"] / 2, atol=1)
    assert np.nanmedian(trust["C"]) > 2
