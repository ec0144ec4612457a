"""Outlines of components: corners to polygons, with areas on the ground and places on the Earth.

The outline of a component is made of straight sides, so along every grid line its corners,
sorted, pair up into sides (O'Rourke, "Uniqueness of orthogonal connect-the-dots", 1988). Two
sorts give each corner its neighbour along the row and along the column, and walking from one to
the other gives the rings. The first ring of a component is its shell, the others are holes.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import geopandas as gpd
import numpy as np
import shapely
from odc.geo.geobox import GeoBox
from scipy.sparse import csr_array
from scipy.sparse.csgraph import breadth_first_order, connected_components

from sar2opt.overlay.components import Components
from sar2opt.overlay.corners import Array, pack, unpack
from sar2opt.overlay.smooth import Nodes, smooth_rings
from sar2opt.raster import pixel_area_m2

# Where a component meets itself by a corner, two of its corners share a vertex. Taken in the
# order of the pixels' numbers along the row, and in this order along the column, the ring turns
# so that the shell stays simple and the hole behind the vertex becomes a ring of its own.
_COLUMN_ORDER = np.array([3, 1, 2, 0])

_PORTION = 1 << 18  # corners worked on at a time, a few tens of megabytes


@dataclass(frozen=True)
class Ground:
    """Ground area of a grid's pixels, as a row profile times a column profile.

    Rows alone matter in degrees and in Mercator, columns nearly alone in transverse Mercator;
    over the extent of a scene the product is right to about 1e-4 in any usual projection.
    """

    rows: Array  # (y + 1,) area of one pixel in the middle column, m2, summed from the first row
    columns: Array  # (x + 1,) area relative to the middle column, summed from the first column

    @property
    def smallest(self) -> float:
        """Area of the smallest pixel, square metres."""
        return float(np.diff(self.rows).min() * np.diff(self.columns).min())

    @property
    def largest(self) -> float:
        """Area of the largest pixel, square metres."""
        return float(np.diff(self.rows).max() * np.diff(self.columns).max())


def ground(geobox: GeoBox, *, step: int = 64, most: int = 257) -> Ground:
    """Measure the pixels' ground area every ``step`` pixels (at most ``most`` times) a side."""
    profiles = []
    for axis, size in enumerate(geobox.shape):
        middle = geobox.shape[1 - axis] // 2
        at = np.unique(np.linspace(0, size - 1, min(most, size // step + 2)).astype(int))
        pixels = [(i, middle) if axis == 0 else (middle, i) for i in at]
        areas = [pixel_area_m2(geobox[y : y + 1, x : x + 1]) for y, x in pixels]
        profiles.append(np.interp(np.arange(size), at, areas))
    rows, columns = profiles
    columns = columns / columns[len(columns) // 2]
    return Ground(*(np.concatenate([[0.0], np.cumsum(profile)]) for profile in (rows, columns)))


def outline(
    components: Components,
    geobox: GeoBox,
    area: Ground,
    *,
    max_hole_m2: float = 0,
    smooth: bool = False,
    workers: int = 0,
) -> gpd.GeoDataFrame:
    """Return one row a component, from the top of the raster down.

    Columns: ``code``, ``pixels``, ``total``, ``peak`` and ``weight`` of the component; ``area_m2``,
    the ground area of its pixels; ``lon`` and ``lat`` (degrees, EPSG:4326), its centroid, or a
    point on it where the centroid is not; ``geometry``, polygons along the edges of its pixels in
    the CRS of the raster, without the holes smaller than ``max_hole_m2``. Of a component with
    8-connectivity it may be a multipolygon. With ``smooth`` the polygons, not their areas, are
    those of ``smooth_rings``, for 4-connectivity only. ``workers`` is the number of threads, 0 for
    one a core.
    """

    portions = _portions(components)
    nodes = Nodes.of(portions, components.shape) if smooth else None

    def work(corners: Array) -> tuple[Array, ...]:
        return _outlines(corners, components, geobox, area, max_hole_m2, nodes)

    with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        done = list(pool.map(work, portions))
    geometry, areas, lon, lat, y, x = (np.concatenate(column) for column in zip(*done, strict=True))
    names = ("code", "pixels", "total", "peak", "weight")
    columns = {name: getattr(components, name) for name in names}
    table = gpd.GeoDataFrame(
        {**columns, "area_m2": areas, "lon": lon, "lat": lat}, geometry=geometry, crs=geobox.crs
    )
    # The numbering of components knows of blocks; the place of their first vertex does not.
    return table.iloc[np.lexsort((x, y))].reset_index(drop=True)


def outline_numbered(
    components: Components, geobox: GeoBox, *, workers: int
) -> tuple[gpd.GeoDataFrame, Array]:
    """Outline components; return the table, and the number of each row's component.

    Components of the same pixels are numbered alike each time, whatever values they sum; a table
    is sorted.
    """
    numbered = replace(components, code=np.arange(len(components.code)))
    table = outline(numbered, geobox, ground(geobox), workers=workers)
    return table, table["code"].to_numpy()


def _portions(components: Components) -> list[Array]:
    """Split the corners into portions of whole components, for threads and to save memory."""
    cuts = np.arange(0, len(components.corners), _PORTION)
    owner, *_ = unpack(components.corners[cuts], components.shape)
    first = pack(np.stack([owner, *np.zeros((3, len(owner)), np.int64)]), components.shape)
    return np.split(components.corners, np.unique(np.searchsorted(components.corners, first))[1:])


def _outlines(
    corners: Array,
    components: Components,
    geobox: GeoBox,
    area: Ground,
    max_hole_m2: float,
    nodes: Nodes | None,
) -> tuple[Array, ...]:
    """Return of each component polygon, area, longitude, latitude, first vertex's y and x."""
    owner, vertices, length = _rings(corners, components.shape)
    starts = np.cumsum(length) - length
    sizes = _ring_areas(vertices, starts, area)
    shell = np.diff(owner, prepend=-1) != 0
    areas = np.bincount(np.cumsum(shell) - 1, np.where(shell, sizes, -sizes))
    keep = shell | (sizes >= max_hole_m2)
    first = vertices[:, starts[shell]]
    if nodes is not None:
        vertices, length = smooth_rings(vertices, length, nodes)
        starts = np.cumsum(length) - length
    geometry = _polygons(vertices, starts[keep], length[keep], shell[keep], geobox)
    if components.connectivity == 8:  # where pixels touch by corners only, a shell touches itself
        geometry = shapely.make_valid(geometry, method="structure", keep_collapsed=False)
    return geometry, areas, *places(geometry, geobox), *first


def _rings(corners: Array, shape: tuple[int, int]) -> tuple[Array, Array, Array]:
    """Return each ring's component, all vertices ``(2, n)`` as y, x ring by ring, their numbers.

    Rings are sorted by component, then by their topmost, leftmost vertex, where they begin.
    """
    label, y, x, pixel = unpack(corners, shape)
    order = np.argsort(pack(np.stack([label, x, y, _COLUMN_ORDER[pixel]]), shape[::-1]))
    partner = np.empty_like(order)
    partner[order[0::2]], partner[order[1::2]] = order[1::2], order[0::2]
    walk, length = _walk(partner)
    return label[walk[np.cumsum(length) - length]], np.stack([y[walk], x[walk]]), length


def _walk(partner: Array) -> tuple[Array, Array]:
    """Return the corners in the order of the rings, and the number of corners of each ring.

    Along the row, corners 2k and 2k + 1 are neighbours; along the column, i and ``partner[i]``.
    A step goes along a row and then along a column, so each ring is two circles of steps, one
    for each sense of rotation. The one that begins rightwards, with an even number, is taken.
    Each circle is cut before its beginning and led on to the next one: a single path.
    """
    count = len(partner)
    if count == 0:
        return partner, partner
    step = partner[np.arange(count) ^ 1]
    circles, circle = connected_components(_graph(step), connection="strong")
    begin = np.full(circles, count)
    np.minimum.at(begin, circle, np.arange(count))
    begin = np.sort(begin[begin % 2 == 0])
    step[partner[begin] ^ 1] = np.append(begin[1:], begin[0])
    path = breadth_first_order(_graph(step), begin[0], return_predecessors=False)
    walk = np.stack([path, path ^ 1], axis=1).ravel()
    begins = np.zeros(count, bool)
    begins[begin] = True
    starts = np.flatnonzero(begins[path])
    return walk, 2 * np.diff(starts, append=len(path))


def _graph(step: Array) -> csr_array:
    """Return the graph in which each node leads to one other, ``step``."""
    count = len(step)
    return csr_array((np.ones(count, np.int8), step, np.arange(count + 1)), shape=(count, count))


def _ring_areas(vertices: Array, starts: Array, area: Ground) -> Array:
    """Return the ground area in each ring, square metres, by Green's theorem."""
    y, x = vertices
    sides = area.rows[y[0::2]] * (area.columns[x[1::2]] - area.columns[x[0::2]])
    return np.abs(np.add.reduceat(sides, starts // 2)) if len(starts) else np.zeros(0)


def _polygons(vertices: Array, starts: Array, length: Array, shell: Array, geobox: GeoBox) -> Array:
    """Return a polygon for each component in the grid's CRS, shells counterclockwise."""
    a, b, c, d, e, f = geobox.affine[:6]
    reverse = shell == (a * e < b * d)  # all rings run clockwise on an image whose rows go down
    closed = length + 1
    ends = np.cumsum(closed)
    ring = np.repeat(np.arange(len(length)), closed)
    along = np.arange(len(ring)) - (ends - closed)[ring]
    y, x = vertices[:, starts[ring] + np.where(reverse[ring], -along, along) % length[ring]]
    world = np.column_stack([a * x + b * y + c, d * x + e * y + f])
    parts = np.append(np.flatnonzero(shell), len(shell))
    return shapely.from_ragged_array(
        shapely.GeometryType.POLYGON, world, (np.append(0, ends), parts)
    )


def places(geometry: Array, geobox: GeoBox) -> tuple[Array, Array]:
    """Return longitude and latitude (degrees) of a point on each polygon."""
    point = shapely.centroid(geometry)
    outside = ~shapely.intersects(geometry, point)
    point[outside] = shapely.point_on_surface(geometry[outside])
    assert geobox.crs is not None
    to_lonlat = geobox.crs.transformer_to_crs("EPSG:4326", always_xy=True)
    lon, lat = to_lonlat(shapely.get_x(point), shapely.get_y(point))
    return np.asarray(lon), np.asarray(lat)


def identities(table: gpd.GeoDataFrame, kind: Iterable[str]) -> list[str]:
    """Return an id for each row, made of ``kind`` and place: the same in every run.

    Places are rounded to 1e-6 degrees, a tenth of a metre: less than a pixel of any scene.
    """
    keys = (
        f"{name} {lon:.6f} {lat:.6f}"
        for name, lon, lat in zip(kind, table["lon"], table["lat"], strict=True)
    )
    return [hashlib.blake2b(key.encode(), digest_size=6).hexdigest() for key in keys]
