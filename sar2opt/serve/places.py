"""Names of towns for the map, which works without a network: those of more than 15,000 people.

``places.tsv.gz`` holds name, longitude and latitude, the largest first. It was made of GeoNames
(https://www.geonames.org, CC BY 4.0), as the page says, by ``tests/places_from_geonames.py``.
"""

from __future__ import annotations

import gzip
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

from sar2opt.serve.features import Bounds

_FILE = Path(__file__).with_name("places.tsv.gz")


def places_in(bounds: Bounds, most: int) -> list[dict[str, Any]]:
    """Return name, lon and lat of the largest places within west, south, east, north."""
    west, south, east, north = bounds
    found = (
        {"name": name, "lon": lon, "lat": lat}
        for name, lon, lat in _places()
        if west <= lon <= east and south <= lat <= north
    )
    return list(islice(found, most))


@cache
def _places() -> list[tuple[str, float, float]]:
    rows = (line.split("\t") for line in gzip.decompress(_FILE.read_bytes()).decode().splitlines())
    return [(name, float(lon), float(lat)) for name, lon, lat in rows]
