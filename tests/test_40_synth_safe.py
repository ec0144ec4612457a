"""The simulated Sentinel-1 product opens as what it was made of, and says that it is simulated."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from product_scene import grid

import sar2opt
from sar2opt.errors import ConventionError
from sar2opt.raster import make_raster


def test_backscatter_survives_calibration_and_noise(tmp_path: Path) -> None:
    power = np.random.default_rng(1).uniform(0.05, 0.5, (2, 180, 300)).astype(np.float32)
    power[:, :, :20] = np.nan
    scene = make_raster(power, grid(180, 300), ["vv", "vh"], quantity="gamma0", scale="linear")
    back = sar2opt.open_scene(sar2opt.simulate_safe(tmp_path / "new", scene))
    assert back.attrs["simulated"] is True
    assert back.attrs["quantity"] == "gamma0"
    assert [str(name) for name in back.band.values] == ["vv", "vh"]
    for band in ("vv", "vh"):
        before, after = scene.sel(band=band), back.sel(band=band)
        assert float(after.mean()) == pytest.approx(float(before.mean()), rel=0.01)


@pytest.mark.parametrize(("bands", "quantity"), [(["hh"], "gamma0"), (["red"], "optical")])
def test_what_no_such_product_holds_is_refused(
    bands: list[str], quantity: str, tmp_path: Path
) -> None:
    power = np.ones((1, 60, 60), np.float32)
    scene = make_raster(power, grid(60, 60), bands, quantity=quantity, scale="linear")
    with pytest.raises(ConventionError):
        sar2opt.simulate_safe(tmp_path, scene)
    assert list(tmp_path.iterdir()) == []
