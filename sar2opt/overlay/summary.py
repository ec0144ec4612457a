"""A table of the features of a reference layer: what was flagged in each."""

from __future__ import annotations

from collections.abc import Sequence

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from odc.geo.geobox import GeoBox

from sar2opt.overlay.anomalies import empty_anomalies
from sar2opt.raster import pixel_area_m2

COUNTED = ("reference_disagreement", "missing")  # what is said of the feature's own ground
_TAKEN = ("fid", "geom")  # by the format of the file
SUMMARY_COLUMNS = ("area_m2", "anomalies", "kinds", "flagged_m2", "flagged_share", "strongest")


def summarise_features(
    reference: gpd.GeoDataFrame,
    anomalies: gpd.GeoDataFrame,
    geobox: GeoBox,
    columns: Sequence[str],
) -> gpd.GeoDataFrame:
    """Return one row for each feature that lies in the scene, those with most flagged first.

    ``reference`` holds polygons in any CRS, of which ``columns`` are kept (with ``site_`` before a
    name in use); ``anomalies`` are in that of ``geobox``. More columns: ``area_m2`` on the ground;
    ``anomalies``, how many share half a pixel or more with it, and their ``kinds`` in words;
    ``flagged_m2`` and ``flagged_share``, how much of it disagrees or is missing; ``strongest``,
    the highest score, NaN where there is no anomaly; ``geometry`` in the CRS of ``geobox``.
    """
    features = reference.to_crs(geobox.crs)
    inside = features.intersects(geobox.extent.geom)
    features = features[inside.to_numpy()].reset_index(drop=True)
    shapes = shapely.make_valid(features.geometry.to_numpy())
    ground = pixel_area_m2(geobox) / abs(geobox.affine.determinant)
    if anomalies.empty:
        anomalies = empty_anomalies(features.crs)
    pairs = _shared(shapes, anomalies, 0.5 * abs(geobox.affine.determinant))
    pairs["kind"] = anomalies["kind"].to_numpy()[pairs["anomaly"]]
    pairs["score"] = anomalies["score"].to_numpy(float)[pairs["anomaly"]]
    own = pairs[pairs["kind"].isin(COUNTED)].groupby("feature")["shared"].sum()
    by_feature, every = pairs.groupby("feature"), range(len(features))
    area = shapely.area(shapes) * ground
    flagged = own.reindex(every, fill_value=0).to_numpy() * ground
    taken = (*_TAKEN, *SUMMARY_COLUMNS)
    kept = features[[*columns]].rename(columns={name: f"site_{name}" for name in columns
                                                if name.lower() in taken})  # fmt: skip
    table = kept.assign(
        area_m2=area,
        anomalies=by_feature.size().reindex(every, fill_value=0).to_numpy(),
        kinds=by_feature["kind"].agg(_in_words).reindex(every, fill_value="").to_numpy(),
        flagged_m2=flagged,
        flagged_share=np.minimum(flagged / np.maximum(area, 1e-9), 1),
        strongest=by_feature["score"].max().reindex(every).to_numpy(),
    )
    order = np.lexsort((-table["anomalies"], -table["flagged_share"]))
    shaped = gpd.GeoDataFrame(table, geometry=shapes, crs=features.crs)
    return shaped.iloc[order].reset_index(drop=True)


def _shared(shapes: np.ndarray, anomalies: gpd.GeoDataFrame, least: float) -> pd.DataFrame:
    """Return the pairs of a feature and an anomaly that share so much ground, in units of the CRS.

    Less is what two layers share whose borders are one, after a detour over another CRS.
    """
    places = anomalies.geometry.to_numpy()
    anomaly, feature = shapely.STRtree(shapes).query(places, predicate="intersects")
    shared = shapely.area(shapely.intersection(places[anomaly], shapes[feature]))
    table = pd.DataFrame({"feature": feature, "anomaly": anomaly, "shared": shared})
    return table[table["shared"] >= least].reset_index(drop=True)


def _in_words(kinds: pd.Series) -> str:
    return ", ".join(f"{kind} {count}" for kind, count in kinds.value_counts().items())
