"""Truncated and mutated rasters of every family are read or refused: no traceback, no bomb.

``SAR2OPT_FUZZ=500 python -m pytest tests/test_30_fuzz.py`` tries as many cases of each, at random.
"""

from __future__ import annotations

import os
import resource
import signal
import tarfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import simulated_safe as s1
from affine import Affine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scene_files import speckled, write

from sar2opt.errors import Sar2optError
from sar2opt.scenes import open_scene, scene_info

CASES = int(os.environ.get("SAR2OPT_FUZZ", "0"))
HANGS = 5 if CASES else 60  # seconds; far more than any case takes, on a busy machine too
MOST_KB = 2**20
BYTES = [b"", b"\x00", b"\x01", b"\x7f", b"\x80", b"\xff", b"\xff\xff\xff\xff", b"\x00\x00\x00\x00"]


def geotiff(folder: Path) -> Path:
    return write(folder / "s.tif", speckled(), speckled(seed=1), names=("VV", "VH"), nodata=np.nan)


def striped(folder: Path) -> Path:
    return write(folder / "s_vv.tif", speckled(), stripe=8, compress=None)


def measurement(folder: Path) -> Path:
    return next(s1.write_safe(folder, bands=("vv",)).glob("measurement/*.tiff"))


def zipped(folder: Path) -> Path:
    return s1.zip_safe(s1.write_safe(folder, bands=("vv",)))


def layer(folder: Path) -> Path:
    path = folder / "N00E010_17_sl_HH_F02DAR.tif"
    numbers = np.rint(np.sqrt(speckled()) * 10**4.15).clip(1, 65535).astype(np.uint16)
    where = {"crs": "EPSG:4326", "transform": Affine(1 / 4500, 0, 10, 0, -1 / 4500, 0)}
    return write(path, numbers, **where)


def tarred(folder: Path, name: str = "N00E010_17_MOS_F02DAR.tar.gz") -> Path:
    with tarfile.open(folder / name, "w:gz") as archive:
        member = layer(folder)
        archive.add(member, member.name)
    return folder / name


def gcov(folder: Path) -> Path:
    from test_30_nisar import write_gcov

    return write_gcov(folder / "gcov.h5")


def safe_of(path: Path) -> Path:
    return path.parent.parent


def tar_of(path: Path) -> Path:
    tar = path.with_name("N00E010_17_MOS_F02DAR.tar.gz")
    with tarfile.open(tar, "w:gz", compresslevel=1) as archive:
        archive.add(path, path.name)
    return tar


FAMILIES: dict[str, tuple[Callable[[Path], Path], Callable[[Path], Path]]] = {
    "geotiff": (geotiff, Path),
    "geotiff in strips": (striped, Path),
    "measurement": (measurement, safe_of),
    "safe zip": (zipped, Path),
    "palsar layer": (layer, tar_of),
    "palsar tar": (tarred, Path),
    "gcov": (gcov, Path),
}


@st.composite
def damage(draw: st.DrawFn) -> Callable[[bytes], bytes]:
    """Return a way to cut a file off and to overwrite some of it, mostly where headers are."""
    keep = draw(st.one_of(st.just(1.0), st.floats(0, 1)))
    where = st.one_of(st.integers(0, 400), st.integers(-400, -1), st.floats(0, 1))
    edits = draw(st.lists(st.tuples(where, st.sampled_from(BYTES)), max_size=6))

    def damaged(whole: bytes) -> bytes:
        text = bytearray(whole[: round(keep * len(whole))])
        for at, new in edits:
            place = round(at * len(text)) if isinstance(at, float) else at % max(len(text), 1)
            text[place : place + max(len(new), 1)] = new
        return bytes(text)

    return damaged


@contextmanager
def no_hang() -> Iterator[None]:
    def stop(*_: Any) -> None:
        raise TimeoutError(f"it takes more than {HANGS} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(HANGS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


# rasterio cannot log what GDAL says of a file if that quotes bytes that are no text
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("family", FAMILIES)
def test_a_damaged_raster_is_read_or_refused(family: str, tmp_path: Path) -> None:
    if family == "gcov":
        pytest.importorskip("h5py")
    make, scene_of = FAMILIES[family]
    seed = make(tmp_path)
    assert open_scene(scene_of(seed)).size  # undamaged it is a scene
    whole, used = seed.read_bytes(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    @given(damage())
    @settings(
        max_examples=CASES or 20,
        derandomize=not CASES,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    def attempt(damaged: Callable[[bytes], bytes]) -> None:
        seed.write_bytes(damaged(whole))
        with no_hang(), suppress(Sar2optError), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of rasterio, on what it finds in the file
            scene_info(scene_of(seed))
            open_scene(scene_of(seed))[:, :300, :300].compute(scheduler="synchronous")

    attempt()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - used < MOST_KB
