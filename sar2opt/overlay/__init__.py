"""Rasters in, GeoDataFrames out: objects, and anomalies with a reason."""

from sar2opt.overlay.anomalies import ANOMALY_COLUMNS, concat, empty_anomalies, strongest
from sar2opt.overlay.bright import bright_targets, decode_ratio, encode_ratio, expected_targets
from sar2opt.overlay.changes import CHANGE_BANDS, changes, encode_changes, series_changes
from sar2opt.overlay.disagreement import encode_probabilities, reference_disagreement
from sar2opt.overlay.floods import floods, is_flooded
from sar2opt.overlay.identity import keep_anomaly_ids, keep_ids, read_earlier, read_known
from sar2opt.overlay.joined_table import Sites, match_rows, read_rows, with_sites
from sar2opt.overlay.low_trust import low_trust, middle_trust
from sar2opt.overlay.missing import missing_objects
from sar2opt.overlay.objects import OBJECT_COLUMNS, tags_to_objects, with_origin
from sar2opt.overlay.rectangles import check_tags, rectangular
from sar2opt.overlay.reference import read_reference
from sar2opt.overlay.rules import read_allow, read_tolerance
from sar2opt.overlay.summary import SUMMARY_COLUMNS, summarise_features
from sar2opt.overlay.surroundings import Ground, cover_tails
from sar2opt.raster import NO_TAG

__all__ = [
    "ANOMALY_COLUMNS",
    "CHANGE_BANDS",
    "NO_TAG",
    "OBJECT_COLUMNS",
    "SUMMARY_COLUMNS",
    "Ground",
    "Sites",
    "bright_targets",
    "changes",
    "check_tags",
    "concat",
    "cover_tails",
    "decode_ratio",
    "empty_anomalies",
    "encode_changes",
    "encode_probabilities",
    "encode_ratio",
    "expected_targets",
    "floods",
    "is_flooded",
    "keep_anomaly_ids",
    "keep_ids",
    "low_trust",
    "match_rows",
    "middle_trust",
    "missing_objects",
    "read_allow",
    "read_earlier",
    "read_known",
    "read_reference",
    "read_rows",
    "read_tolerance",
    "rectangular",
    "reference_disagreement",
    "series_changes",
    "strongest",
    "summarise_features",
    "tags_to_objects",
    "with_origin",
    "with_sites",
]
