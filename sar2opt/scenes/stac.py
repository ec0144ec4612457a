"""Reader for a STAC item (JSON file or address), and for a COG at an address.

Assets are chosen by role and polarisation; remote ones are read window by window (/vsicurl), for
http and https only. What lies beside a local item is resolved from the item's own folder.
"""

from __future__ import annotations

import json
import re
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib import request

import xarray as xr

from sar2opt.config import SceneSettings
from sar2opt.errors import BandError, SceneError
from sar2opt.raster import SAR_BANDS
from sar2opt.scenes import geotiff, vendors
from sar2opt.scenes.files import address_of, name_of
from sar2opt.scenes.folder import is_layer
from sar2opt.scenes.mosaic import join
from sar2opt.scenes.opened import Opened, cut

if TYPE_CHECKING:
    import pystac

_MOST_BYTES = 20_000_000
_WAIT_S = 20
_POLARISATION = re.compile(r"(?<![a-z])(vv|vh|hh|hv)(?![a-z])", re.IGNORECASE)
_TIFF = re.compile(r"\.tiff?$", re.IGNORECASE)
_SENTINEL1 = re.compile(r"^S1[A-D]_\w\w_(GRD|SL)|sentinel-?1", re.IGNORECASE)


def accepts(path: Path) -> bool:
    """Return whether ``path`` is an http(s) address or a JSON file."""
    return bool(address_of(path)) or (path.suffix.lower() == ".json" and path.is_file())


def files(path: Path) -> list[Path]:
    """Return the files on disk that an item's pixels depend on: itself, and its local assets."""
    if address_of(path):
        return []
    hrefs = _assets(_item(path), path).values()
    local = [Path(href) for href in hrefs if not href.startswith("/vsicurl/")]
    return [path, *(file for href in local for file in vendors.files(href))]


def read(path: Path, settings: SceneSettings, chunks: int) -> xr.DataArray:
    """Return the backscatter of an item, lazily; raises as ``open_scene`` says."""
    address = address_of(path)
    if _TIFF.search(address.partition("?")[0]):
        tags = {"SOURCE": name_of(path)}
        return geotiff.open_tiff(f"/vsicurl/{address}", settings, tags).raster(chunks)
    item = _item(path)
    _refuse(item, path)
    assets = _assets(item, path)
    asked = settings.polarisation
    if asked != "auto" and not (assets := {k: v for k, v in assets.items() if k == asked}):
        raise BandError(f"{path}: it has no asset {asked}: leave out --polarisation")
    whole = settings.model_copy(update={"aoi": None})
    opened = [_open(href, band, item, whole) for band, href in assets.items()]
    return cut(join(opened, item.id), settings.aoi).raster(chunks)


def in_radar_geometry(item: pystac.Item, path: Path) -> SceneError:
    """Return what is to be done about Sentinel-1 GRD assets, which lie on no map.

    Their ``proj:transform`` is laid over the bounding box, mirrored or rotated against the true
    places of the pixels, which only the geolocation grid knows. The reader of products has it.
    """
    told = "its proj:transform is not believed" if "proj:transform" in item.properties else "no map"
    return SceneError(
        f"{path}: its GRD assets are in radar geometry ({told}): give the product itself, the "
        ".SAFE folder or zip, instead of the item"
    )


def _item(path: Path) -> pystac.Item:
    import pystac  # here, as few scenes are items
    from pystac.errors import STACError

    where = address_of(path) or str(path)
    try:
        told = _fetch(where) if address_of(path) else vendors.read_json(path)
        if told.get("type") != "Feature" or "stac_version" not in told:
            raise ValueError("not a STAC item; give one item, not a catalogue or collection")
        item = pystac.Item.from_dict(told, href=where, preserve_dict=False)
        return item
    except (OSError, HTTPException) as error:
        why = str(error).partition("\n")[0]
        raise SceneError(f"{where}: cannot be fetched ({why}): check the address") from error
    except (STACError, KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise SceneError(f"{where}: the STAC item cannot be used: {error}") from error


def _fetch(address: str) -> dict[str, Any]:
    with _opener().open(address, timeout=_WAIT_S) as answer:
        text = answer.read(_MOST_BYTES + 1)
    told = json.loads(text) if len(text) <= _MOST_BYTES else None
    if not isinstance(told, dict):
        raise ValueError("not a JSON object of a size that an item has")
    return told


def _opener() -> request.OpenerDirector:
    """Return what opens http and https, and is redirected to no other kind of address."""
    opener = request.OpenerDirector()
    for handler in (
        request.ProxyHandler, request.UnknownHandler, request.HTTPHandler, request.HTTPSHandler,
        request.HTTPDefaultErrorHandler, request.HTTPRedirectHandler, request.HTTPErrorProcessor,
    ):  # fmt: skip
        opener.add_handler(handler())
    return opener


def _refuse(item: pystac.Item, path: Path) -> None:
    """Raise where the assets are in radar geometry, as those of Sentinel-1 GRD and SLC are."""
    kind = str(item.properties.get("sar:product_type", ""))
    sentinel1 = f"{item.id} {item.properties.get('constellation', '')}"
    if not _SENTINEL1.search(sentinel1) or kind == "RTC":
        return
    if kind == "SLC" or "_SLC_" in item.id or "_SL1_" in item.id:
        raise SceneError(
            f"{path}: its assets are complex (single-look): give the product itself, the .SAFE "
            "folder or zip, instead of the item"
        )
    if kind == "GRD" or "_GRD" in item.id or any("GRD" in a.href for a in item.assets.values()):
        raise in_radar_geometry(item, path)


def _assets(item: pystac.Item, path: Path) -> dict[str, str]:
    """Return the href of each polarisation, as GDAL takes it, in the order of ``SAR_BANDS``."""
    found: dict[str, str] = {}
    for key, asset in item.assets.items():
        if not _is_backscatter(key, asset):
            continue
        for band in _polarisations(key, asset, item):
            found.setdefault(band, _place(asset.get_absolute_href() or asset.href, path))
    if not found:
        raise SceneError(
            f"{path}: none of its assets ({', '.join(list(item.assets)[:8]) or 'none'}) is a "
            "GeoTIFF of a known polarisation: give an item of backscatter (role data)"
        )
    return {band: found[band] for band in SAR_BANDS if band in found}


def _is_backscatter(key: str, asset: pystac.Asset) -> bool:
    tiff = "image/tiff" in (asset.media_type or "") or bool(_TIFF.search(asset.href))
    roles = set(asset.roles or ["data"])
    other = roles & {"thumbnail", "metadata", "local-incidence-angle", "incidence-angle"}
    layer = is_layer(f"_{key}") or is_layer(_TIFF.sub("", asset.href))
    return tiff and "data" in roles and not other and not layer


def _polarisations(key: str, asset: pystac.Asset, item: pystac.Item) -> list[str]:
    """Return what an asset says, or else its key, or else the item, where it has but one."""
    own = asset.extra_fields.get("sar:polarizations")
    every = item.properties.get("sar:polarizations")
    for texts in (own, [key], [asset.href.rpartition("/")[2]], every):
        names = [
            match.lower() for text in texts or () for match in _POLARISATION.findall(str(text))
        ]
        if len(set(names)) == 1:
            return names[:1]
    return []


def _place(href: str, path: Path) -> str:
    """Return an href as GDAL takes it; raises ``SceneError`` for what is not read."""
    if address_of(Path(href)):
        return f"/vsicurl/{href}"
    if "://" in href or href.startswith("/vsi") or address_of(path):
        raise SceneError(f"{path}: {href} is not read: give an item whose assets are at https")
    if not Path(href).resolve().is_relative_to(path.resolve().parent):
        raise SceneError(f"{path}: its asset {href} lies outside the item's folder: refused")
    if not Path(href).is_file():
        raise SceneError(f"{path}: its asset {href} is missing: put it there")
    return href


def _open(href: str, band: str, item: pystac.Item, settings: SceneSettings) -> Opened:
    told = item.properties
    tags = {"POLARISATION": band, "SOURCE": item.id}
    if item.datetime or told.get("start_datetime"):
        tags["ACQUIRED"] = str(told.get("datetime") or told.get("start_datetime"))
    if told.get("sar:product_type") == "RTC":
        tags["QUANTITY"] = "gamma0"
    for tag, key in (("FREQUENCY_BAND", "sar:frequency_band"),
                     ("LOOKS", "sar:looks_equivalent_number")):  # fmt: skip
        if told.get(key):
            tags[tag] = str(told[key])
    if href.startswith("/vsicurl/"):
        return geotiff.open_tiff(href, settings, tags)
    return vendors.open_product(Path(href), settings, tags)
