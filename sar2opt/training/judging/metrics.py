"""How near a generated image is to the real one: one function a figure, on one image.

Images are float ``(band, y, x)`` in [0, 1], of one band (grey) or three; ``valid`` is ``(y, x)``,
true where there is backscatter, and pixels where it is false count for nothing. Where a figure
says nothing of an image, such as the sharpness of a flat target, it is NaN, and averages leave
it out.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage.metrics import structural_similarity

from sar2opt.nets.losses import LUMINANCE
from sar2opt.training.pairs.pair import Image

Mask = npt.NDArray[np.bool_]
CELL = 8  # pixels; figures "after averaging" look at cells of this side
LEAST_MSE = 1e-10  # of a perfect image, so that PSNR ends at 100 dB and can be averaged
LEAST_DISTANCE = 0.01  # spreads; so that the copy ratio of a perfect image is finite
FLAT = 1e-4  # spread, or mean gradient, below which an image counts as flat
WINDOW = 11  # pixels; Wang's Gaussian window of 1.5 pixels, cut off at 3.5 of them
RINGS = 32  # of spatial frequency, up to half a cycle a pixel


def psnr(output: Image, target: Image, valid: Mask | None = None) -> float:
    """Return the peak signal-to-noise ratio in dB, of a peak of 1; at most 100."""
    error = _pixels(output, valid) - _pixels(target, valid)
    if error.size == 0:
        return np.nan
    return float(-10.0 * np.log10(max(float(np.mean(np.square(error))), LEAST_MSE)))


def ssim(output: Image, target: Image, valid: Mask | None = None) -> float:
    """Return the structural similarity of Wang et al. 2004, bands averaged.

    Gaussian window of 1.5 pixels, as in the paper; windows that reach over the rim or onto
    pixels without data are left out. NaN where the image is smaller than a window.
    """
    if min(output.shape[1:]) < WINDOW:
        return np.nan
    known = _mask(output, valid)
    inside = ndimage.binary_erosion(known, np.ones((WINDOW, WINDOW), bool))
    if not inside.any():
        return np.nan
    _, similarity = structural_similarity(
        np.where(known, target, 0.0), np.where(known, output, 0.0),
        channel_axis=0, data_range=1.0, full=True,
        gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
    )  # fmt: skip
    return float(similarity[:, inside].mean())


def mae(output: Image, target: Image, valid: Mask | None = None) -> float:
    """Return the mean absolute error."""
    error = _pixels(output, valid) - _pixels(target, valid)
    return float(np.abs(error).mean()) if error.size else np.nan


def spectral_angle(output: Image, target: Image, valid: Mask | None = None) -> float:
    """Return the mean angle between the colours in degrees (Kruse et al. 1993); three bands.

    It sees hue and saturation, not brightness. Black has no hue and is left out.
    """
    if len(target) != 3:
        return np.nan
    ours, theirs = (_pixels(image, valid).astype(np.float64) for image in (output, target))
    lengths = np.linalg.norm(ours, axis=0) * np.linalg.norm(theirs, axis=0)
    coloured = lengths > FLAT
    if not coloured.any():
        return np.nan
    cosine = (ours * theirs).sum(axis=0)[coloured] / lengths[coloured]
    return float(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))).mean())


def layout(output: Image, target: Image, valid: Mask | None = None) -> dict[str, float]:
    """Return Pearson's r after averaging 8 x 8 pixels: is the colour in the right place?

    Whatever the overall tone: ``layout_red``, ``layout_green``, ``layout_blue`` and
    ``layout_green_red`` of green minus red, or ``layout_grey``; and their mean, ``layout``.
    A flat output has the layout 0 of no knowledge, a flat target has none to be right about.
    """
    ours, whole = cells(output, valid)
    theirs, _ = cells(target, valid)
    if len(target) == 1:
        wanted = {"layout_grey": (ours[0], theirs[0])}
    else:
        wanted = {
            "layout_red": (ours[0], theirs[0]),
            "layout_green": (ours[1], theirs[1]),
            "layout_blue": (ours[2], theirs[2]),
            "layout_green_red": (ours[1] - ours[0], theirs[1] - theirs[0]),
        }
    found = {name: correlation(a[whole], b[whole]) for name, (a, b) in wanted.items()}
    return {"layout": mean_known(list(found.values())), **found}


def sharpness(output: Image, target: Image, valid: Mask | None = None) -> float:
    """Return the mean gradient magnitude of the output over that of the target.

    Below 1 the output is blurred, above it noisy. NaN where the target is flat.
    """
    ours, theirs = mean_gradient(output, valid), mean_gradient(target, valid)
    return ours / theirs if theirs > FLAT else np.nan


def spectrum_distance(output: Image, target: Image, valid: Mask | None = None) -> float:
    """Return the mean distance of the radial power spectra of luminance, in dB.

    The azimuthal average of the power spectrum, ring by ring, as of Durall et al. 2020: blur
    lacks power in the outer rings, checkerboards and noise have too much. Pixels without data are
    set to the mean.
    """
    ours, theirs = (_radial_power(luminance(image)[0], valid) for image in (output, target))
    return float(np.abs(10.0 * np.log10(ours / theirs)).mean())


def copy_ratio(output: Image, target: Image, sar: Image, valid: Mask | None = None) -> float:
    """Return the distance of the output to the SAR image over its distance to the target.

    A distance is the mean absolute difference of luminance after each image was given mean 0 and
    spread 1 over the valid pixels. A copy of the input has 0, what is as far from both has 1; the
    lower distance counts as at least 0.01. NaN where an image is flat. ``sar`` is ``(y, x)``.
    """
    known = np.isfinite(sar) if valid is None else valid & np.isfinite(sar)
    ours, theirs = (_standard(luminance(image)[0][known]) for image in (output, target))
    radar = _standard(sar[known])
    if ours is None or theirs is None or radar is None:
        return np.nan
    nearness = max(float(np.abs(ours - theirs).mean()), LEAST_DISTANCE)
    return float(np.abs(ours - radar).mean()) / nearness


def figures(
    output: Image, target: Image, sar: Image, valid: Mask | None = None
) -> Mapping[str, float]:
    """Return all figures of one image by name; output and target have the same bands."""
    known = np.isfinite(sar) if valid is None else valid & np.isfinite(sar)
    small, whole = cells(output, known)
    small_target, _ = cells(target, known)
    return {
        "psnr": psnr(output, target, known),
        "ssim": ssim(output, target, known),
        "mae": mae(output, target, known),
        "spectral_angle": spectral_angle(output, target, known),
        "psnr_8": psnr(small, small_target, whole),
        "ssim_8": ssim(small, small_target, whole),
        **layout(output, target, known),
        "sharpness": sharpness(output, target, known),
        "spectrum": spectrum_distance(output, target, known),
        "copy_ratio": copy_ratio(output, target, sar, known),
    }


def luminance(image: Image) -> Image:
    """Return the luminance ``(1, y, x)`` of imagery of one or three bands (ITU-R BT.601)."""
    if len(image) == 1:
        return image
    grey: Image = np.tensordot(np.array(LUMINANCE, np.float32), image, axes=1)[None]
    return grey


def cells(image: Image, valid: Mask | None = None) -> tuple[Image, Mask]:
    """Average 8 x 8 pixels: ``(band, y/8, x/8)``, and which cells have data in every pixel.

    What is left over at the lower and right rim is dropped.
    """
    bands, rows, cols = len(image), image.shape[1] // CELL, image.shape[2] // CELL
    cut = (slice(rows * CELL), slice(cols * CELL))
    blocks = _mask(image, valid)[cut].reshape(rows, CELL, cols, CELL)
    known: Mask = np.asarray(blocks.all(axis=(1, 3)))
    split = image[(slice(None), *cut)].reshape(bands, rows, CELL, cols, CELL)
    averaged: Image = split.mean(axis=(2, 4))
    return np.where(known, averaged, np.float32(0.0)), known


def correlation(a: Image, b: Image) -> float:
    """Return Pearson's r of two arrays of one shape: 0 if ``a`` is flat, NaN if ``b`` is."""
    ours, theirs = _standard(a), _standard(b)
    if theirs is None:
        return np.nan
    return 0.0 if ours is None else float((ours * theirs).mean())


def mean_gradient(image: Image, valid: Mask | None = None) -> float:
    """Return the mean magnitude of the gradient, by central differences, bands averaged."""
    known = _mask(image, valid)
    down, across = np.gradient(np.where(known, image, np.float32(0.0)), axis=(1, 2))
    inside = ndimage.binary_erosion(known, border_value=1)  # all that a difference looks at
    return float(np.hypot(down, across)[:, inside].mean()) if inside.any() else np.nan


def mean_known(values: list[float]) -> float:
    """Return the mean of what is not NaN; NaN where nothing is left."""
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else np.nan


def _mask(image: Image, valid: Mask | None) -> Mask:
    return np.ones(image.shape[1:], bool) if valid is None else valid


def _pixels(image: Image, valid: Mask | None) -> Image:
    return image[:, _mask(image, valid)]


def _standard(values: Image) -> npt.NDArray[np.float64] | None:
    """Return the values at mean 0 and spread 1; None where they have no spread."""
    if values.size == 0:
        return None
    exact = values.astype(np.float64)
    spread = exact.std()
    return (exact - exact.mean()) / spread if spread > FLAT else None


def _radial_power(grey: Image, valid: Mask | None) -> npt.NDArray[np.float64]:
    """Return mean power by ring ``(ring,)``, after a Hann window that takes the rim away."""
    known = _mask(grey[None], valid)
    centred = np.where(known, grey - grey[known].mean() if known.any() else 0.0, 0.0)
    window = np.outer(*(np.hanning(size) for size in grey.shape))
    power = np.abs(np.fft.fft2(centred * window)) ** 2 / grey.size
    radius = np.hypot(*np.meshgrid(*(np.fft.fftfreq(size) for size in grey.shape), indexing="ij"))
    ring = (radius * 2 * RINGS).astype(int)  # half a cycle a pixel is the rim of the last ring
    used = (ring < RINGS) & (radius > 0)
    total = np.bincount(ring[used], power[used], minlength=RINGS)
    count = np.bincount(ring[used], minlength=RINGS)
    return total[count > 0] / count[count > 0] + 1e-8  # below the noise of 8 bits
