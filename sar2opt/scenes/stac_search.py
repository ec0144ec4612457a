"""Search of a STAC catalogue: which scenes there are of a place and time.

pystac-client speaks the protocol (STAC API, item search). What it finds are items, which
``open_scene`` takes, as files or by their address.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pystac

from sar2opt.errors import ConfigError, OutputError, SceneError
from sar2opt.scenes.files import address_of

MOST_ITEMS = 1000
_WAIT_S = 30

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Search:
    """What is looked for. ``box`` is west, south, east, north in degrees (WGS 84)."""

    collections: tuple[str, ...]
    box: Box
    dates: str  # as STAC has it: 2024-05-01/2024-05-31; an open end is ..
    most: int = 20  # items

    def __post_init__(self) -> None:
        """Raise ``ConfigError`` for what cannot be looked for."""
        west, south, east, north = self.box
        known = -180 <= west <= 180 and -180 <= east <= 180 and -90 <= south < north <= 90
        if not known or west == east:
            raise ConfigError(
                f"a box of {west:g},{south:g},{east:g},{north:g} is none: say west,south,east,north"
                " in degrees"
            )
        if not 1 <= self.most <= MOST_ITEMS:
            raise ConfigError(f"most is {self.most}: say 1 to {MOST_ITEMS}")


def search(catalogue: str, wanted: Search) -> list[pystac.Item]:
    """Return the items that a catalogue has, the newest first.

    Raises ``SceneError`` in one line: no address, no answer, no catalogue that can be searched.
    """
    if not address_of(Path(catalogue)):
        raise SceneError(f"{catalogue}: is no http(s) address of a STAC catalogue")
    try:
        from pystac_client import Client
        from pystac_client.errors import ClientTypeError
        from pystac_client.exceptions import APIError
        from requests.exceptions import RequestException
    except ImportError as error:
        raise SceneError("a search needs pystac-client: pip install 'sar2opt[stac]'") from error
    try:
        found = Client.open(catalogue, timeout=_WAIT_S).search(
            collections=list(wanted.collections) or None,
            bbox=wanted.box,
            datetime=wanted.dates or None,
            max_items=wanted.most,
            sortby="-properties.datetime",
        )
        items = list(found.items())
    except (APIError, RequestException, OSError) as error:
        said = " ".join(str(error).split())[:200]
        raise SceneError(f"{catalogue}: the search failed ({said}): check the address") from error
    except (
        ClientTypeError,
        pystac.STACError,
        NotImplementedError,
        KeyError,
        TypeError,
        ValueError,
    ) as error:
        raise SceneError(f"{catalogue}: is no STAC catalogue that can be searched") from error
    return sorted(items, key=_time, reverse=True)


def write_items(items: Sequence[pystac.Item], folder: Path) -> list[Path]:
    """Write each item as a JSON file that ``open_scene`` takes; raises ``OutputError``."""
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for item in items:
            item.make_asset_hrefs_absolute()
            path = folder / f"{_file_name(item.id)}.json"
            unfinished = path.with_suffix(".part")
            unfinished.write_text(json.dumps(item.to_dict(transform_hrefs=False), indent=1))
            unfinished.replace(path)
            written.append(path)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written: {error.strerror}") from error
    return written


def facts(item: pystac.Item) -> dict[str, str]:
    """Return what a person chooses by: time, direction and track of the orbit, polarisations."""
    told: dict[str, Any] = item.properties
    return {
        "scene": item.id,
        "acquired": _time(item)[:19],
        "orbit": f"{told.get('sat:orbit_state', '')} {told.get('sat:relative_orbit', '')}".strip(),
        "polarisations": " ".join(told.get("sar:polarizations") or ()),
    }


def _time(item: pystac.Item) -> str:
    return str(item.properties.get("datetime") or item.properties.get("start_datetime") or "")


def _file_name(text: str) -> str:
    return "".join(c if c.isalnum() or c in "._-" else "_" for c in text).lstrip(".")[:200] or "_"
