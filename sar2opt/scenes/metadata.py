"""What a scene's tags, band descriptions and file name say about it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sar2opt.errors import BandError
from sar2opt.raster import SAR_BANDS
from sar2opt.sar.radiometry import KNOWN_SCALES

_POLARISATION = re.compile(r"(?<![a-z])(vv|vh|hh|hv)(?![a-z])", re.IGNORECASE)
# Mission, mode, type, level and class, start: S1A_IW_GRDH_1SDV_20201107T135241_...
_SENTINEL1 = re.compile(r"S1[A-D]_\w{2}_\w{4}_\w(?:S|A)(SV|SH|DV|DH)_\d{8}T\d{6}\w*", re.IGNORECASE)
# HyP3: ..._RTC30_G_gpuned_...: gamma nought or sigma nought; power, amplitude or decibel
_HYP3 = re.compile(r"_RTC\d\d_\w_([gs])([pad])[a-z]{4}_", re.IGNORECASE)
_STAMP = re.compile(r"(?<!\d)(\d{8}T\d{6})(?!\d)", re.IGNORECASE)
_DAY = re.compile(r"(?<!\d)((?:19|20)\d{6})(?!\d)")

_SCALE_WORDS = (  # as words of their own: product identifiers hold letters like 035DB4
    ("dB", re.compile(r"(?<![a-z0-9])(db|decibels?)(?![a-z0-9])", re.IGNORECASE)),
    ("amplitude", re.compile(r"(?<![a-z0-9])(amp|amplitude|magnitude)(?![a-z0-9])", re.IGNORECASE)),
    ("power", re.compile(r"(?<![a-z0-9])(power|intensity|linear)(?![a-z0-9])", re.IGNORECASE)),
)
_QUANTITY_WORDS = (
    ("sigma0", re.compile(r"sigma[-_ ]?(0|nought|naught|zero)", re.IGNORECASE)),
    ("gamma0", re.compile(r"gamma[-_ ]?(0|nought|naught|zero)", re.IGNORECASE)),
    ("beta0", re.compile(r"beta[-_ ]?(0|nought|naught|zero)", re.IGNORECASE)),
    ("gamma0", re.compile(r"(?<![a-z])(S1)?RTC(?![a-z])", re.IGNORECASE)),
)
_RADARS = (  # by the names of products and satellites
    ("C", re.compile(r"^(S1[A-D]_|OPERA_L2_RTC-S1)|sentinel-?1|S1[A-D]_IW_|RADARSAT|^RCM", re.I)),
    ("X", re.compile(r"CAPELLA|UMBRA|ICEYE|^TSX|^TDX|^CSK|^CSG|^PAZ", re.I)),
    ("L", re.compile(r"ALOS|PALSAR|SAOCOM|^NISAR_L|_sl_(HH|HV|VV|VH)_[FU]\d\d", re.I)),
)
_TIME_TAGS = (
    "ACQUIRED", "ACQUISITION_DATETIME", "ACQUISITION_TIME", "ACQUISITION_DATE",
    "START_DATETIME", "START_TIME", "SENSING_TIME", "DATETIME",
)  # fmt: skip
_TIME_FORMATS = ("%d.%m.%Y", "%Y:%m:%d %H:%M:%S", "%d-%b-%Y %H:%M:%S.%f", "%Y/%m/%d")


@dataclass(frozen=True)
class Header:
    """The texts of a scene file: its name, its tags by upper-case key, a text for each band."""

    name: str
    tags: dict[str, str]
    bands: tuple[str, ...]

    def texts(self, *keys: str) -> Iterator[str]:
        """Yield the tags named ``keys``, then the texts of the bands."""
        yield from (self.tags[key] for key in keys if key in self.tags)
        yield from self.bands


def find_source(header: Header) -> str:
    """Return the name of the product that the scene was made from."""
    if header.tags.get("SOURCE"):
        return header.tags["SOURCE"].removesuffix(".SAFE")
    product = _SENTINEL1.search(header.name)
    return product.group(0) if product else header.name.rpartition(".")[0] or header.name


def find_acquired(header: Header) -> tuple[str, str]:
    """Return the time of acquisition in ISO 8601, or "", and what had to be assumed, or ""."""
    tagged = next((time for key in _TIME_TAGS if (time := _iso(header.tags.get(key, "")))), "")
    stamps = (_STAMP.search(text) for text in (header.tags.get("SOURCE", ""), header.name))
    stamped = next((time for stamp in stamps if stamp and (time := _iso(stamp.group(1)))), "")
    if tagged and not stamped.startswith(tagged):
        return tagged, ""
    if stamped:  # more exact than the tag, or all there is
        return stamped, ""
    if (day := _DAY.search(header.name)) and (time := _iso(day.group(1))):
        return time, f"the day of acquisition, {time}, is read from the file name"
    if time := _iso(header.tags.get("TIFFTAG_DATETIME", "")):
        return time, "the time of acquisition is not written: the TIFF's own time stands for it"
    return "", ""


def find_quantity(header: Header) -> tuple[str, str]:
    """Return the radiometric quantity, and what had to be assumed, or ""."""
    for text in header.texts("QUANTITY", "CALIBRATION", "RADIOMETRY"):
        if quantity := _first(_QUANTITY_WORDS, text):
            return quantity, ""
        if text.strip().lower() == "intensity":
            return "intensity", ""
    if hyp3 := _HYP3.search(header.name):
        return {"g": "gamma0", "s": "sigma0"}[hyp3.group(1).lower()], ""
    if quantity := _first(_QUANTITY_WORDS, header.name):
        return quantity, f"quantity {quantity} by the file's name"
    return "intensity", "no calibration is written: taken as uncalibrated power (intensity)"


def find_scale(header: Header) -> tuple[str, str]:
    """Return the scale that the file states, or "", and what had to be assumed, or ""."""
    for text in header.texts("SCALE", "SCALING", "UNITS", "UNIT"):
        if text.strip() in KNOWN_SCALES:
            return text.strip(), ""
        if scale := _first(_SCALE_WORDS, text):
            return scale, ""
    if hyp3 := _HYP3.search(header.name):
        return {"p": "power", "a": "amplitude", "d": "dB"}[hyp3.group(2).lower()], ""
    if header.name.startswith("OPERA_L2_RTC"):  # linear by the product's specification
        return "power", ""
    if scale := _first(_SCALE_WORDS, header.name):
        return scale, f"scale {scale} by the file's name"
    return "", ""


def find_looks(header: Header) -> float | None:
    """Return the equivalent number of looks, if the file states it."""
    try:
        looks = float(header.tags.get("LOOKS", ""))
    except ValueError:
        return None
    return looks if looks > 0 else None


def find_frequency_band(header: Header) -> str:
    """Return the letter of the radar's frequency band (IEEE 521: L, S, C, X), or ""."""
    if letter := header.tags.get("FREQUENCY_BAND", ""):
        return letter
    texts = (header.tags.get("SOURCE", ""), header.name)
    return next((found for text in texts if (found := _first(_RADARS, text))), "")


def letter_of(hertz: float) -> str:
    """Return the frequency band that a radar of this centre frequency works in, or ""."""
    edges = {
        "P": (0.25e9, 1e9),
        "L": (1e9, 2e9),
        "S": (2e9, 4e9),
        "C": (4e9, 8e9),
        "X": (8e9, 12e9),
    }
    return next((name for name, (low, high) in edges.items() if low <= hertz < high), "")


def name_bands(
    header: Header, medians: Sequence[float], asked: str
) -> tuple[dict[str, int], list[str]]:
    """Return the position (from 0) of each polarisation, and what had to be assumed.

    ``medians`` are the bands' median values: of two unnamed bands, the weaker is taken for the
    cross-polarised one. ``asked`` is a polarisation, which names a single unnamed band, or "auto".
    Raises ``BandError`` when the bands cannot be named.
    """
    if named := described_bands(header):
        left_out = [str(i + 1) for i in range(len(medians)) if i not in named.values()]
        note = f"bands left out, as no other polarisation: {', '.join(left_out)}"
        return named, [note] if left_out else []
    names, why = _listed(header), "the file's name or tags"
    if not names and len(medians) <= 2:
        names, why = _by_mode(header, medians)
    if not names and len(medians) == 1 and asked in SAR_BANDS:
        names, why = [asked], "what was asked for, as the file does not say"
    if len(names) == len(medians):
        note = f"polarisation {' and '.join(names)} by {why}"
        return {name: index for index, name in enumerate(names)}, [note]
    if len(medians) == 1:
        raise BandError(
            "nothing says which polarisation this is: say --polarisation vv, vh, hh or hv"
        )
    raise BandError(
        f"none of its {len(medians)} bands is named vv, vh, hh or hv: "
        "keep the one that matters (gdal_translate -b N in.tif out.tif)"
    )


def described_bands(header: Header) -> dict[str, int]:
    """Return the polarisations in the bands' own texts; the first band of each counts."""
    named: dict[str, int] = {}
    for index, text in enumerate(header.bands):
        if match := _POLARISATION.search(text):
            named.setdefault(match.group(1).lower(), index)
    return named


def _listed(header: Header) -> list[str]:
    """Polarisations in the tags, or else in the file name, each once, in order."""
    texts = [header.tags.get(key, "") for key in ("POLARISATION", "POLARIZATION")]
    found = (_POLARISATION.findall(text) for text in [*texts, header.name])
    return next((list(dict.fromkeys(map(str.lower, names))) for names in found if names), [])


def _by_mode(header: Header, medians: Sequence[float]) -> tuple[list[str], str]:
    """Polarisations by the class in a Sentinel-1 name (SV, DH ...) and, of two, by strength."""
    texts = (header.tags.get("SOURCE", ""), header.name)
    product = next((match for text in texts if (match := _SENTINEL1.search(text))), None)
    mode = product.group(1).upper() if product else "DV"
    co, cross = ("hh", "hv") if mode.endswith("H") else ("vv", "vh")
    if len(medians) == 1:
        return ([co], "the product's name") if mode.startswith("S") else ([], "")
    names = [co, cross] if medians[0] >= medians[1] else [cross, co]
    return names, f"strength, as the file does not say: {cross} is the weaker"


def _first(words: Sequence[tuple[str, re.Pattern[str]]], text: str) -> str:
    return next((name for name, pattern in words if pattern.search(text)), "")


def _iso(text: str) -> str:
    """Return ``text`` in ISO 8601: a day as a day, a time in UTC with Z; "" if it is no time."""
    text = text.strip()
    try:
        time = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text))
    except ValueError:
        time = next((t for form in _TIME_FORMATS if (t := _parse(text, form))), datetime.min)
    if time.year < 1970:  # before spaceborne SAR, or no time at all
        return ""
    if not re.search(r"\d[T ]\d", text):
        return time.date().isoformat()
    zoned = time.astimezone(UTC) if time.tzinfo else time
    return zoned.replace(tzinfo=None).isoformat() + "Z"


def _parse(text: str, form: str) -> datetime | None:
    try:
        return datetime.strptime(text, form)
    except ValueError:
        return None
