"""Examples for the help of each command, and what the exit codes mean."""

from __future__ import annotations

EXIT_CODES = (
    "Exit codes: 0 done; 2 it cannot be done, and one line on stderr says what to do about it; "
    "1 a fault of sar2opt (--debug shows where); 130 stopped by Ctrl-C."
)
EXAMPLES = {
    "run": (
        "sar2opt run scene.tif --out out/",
        "sar2opt run S1A_IW_GRDH_....SAFE.zip --out out/ --dem dem.tif --aoi city.geojson",
        "sar2opt --quiet --log-file run.log run scene.tif --out out/ --json",
    ),
    "batch": (
        "sar2opt batch scenes/ --out out/",
        "sar2opt batch 'scenes/*.tif' --out out/ --watch",
    ),
    "info": ("sar2opt info scene.tif", "sar2opt info scene.tif --json"),
    "search": (
        "sar2opt search https://... --collection sentinel-1-rtc --bbox 12.4,41.8,12.6,42 --out "
        "items/",
    ),
    "prepare": (
        "sar2opt prepare S1A_....SAFE.zip --out gamma0.tif --dem dem.tif",
        "sar2opt prepare scene.tif --out gamma0_db.tif --db",
    ),
    "despeckle": ("sar2opt despeckle scene.tif --out smooth.tif --filter lee-sigma",),
    "tag": ("sar2opt tag scene.tif --out tags.tif",),
    "objects": ("sar2opt objects tags.tif --out objects.gpkg --before may.gpkg",),
    "anomalies": (
        "sar2opt anomalies scene.tif --before may.tif --reference zoning.gpkg --allow rules.toml "
        "--out flags.gpkg",
    ),
    "serve": ("sar2opt serve out/", "sar2opt serve out/ --port 8080 --token WORD"),
    "config": ("sar2opt config > my.toml",),
    "synth": ("sar2opt synth data_samples/ --overwrite",),
    "train": (
        "sar2opt train configs/translator.toml --data pairs/ --out runs/translator-s1",
        "sar2opt train configs/translator.toml --data pairs/ --out runs/translator-s1 --resume",
    ),
    "evaluate": ("sar2opt evaluate translator-s1 --data pairs/ --out report/",),
    "models": ("sar2opt models", "sar2opt models show translator-s1"),
    "pairs": ("sar2opt pairs build configs/pairs/sentinel.toml --data DATA --out pairs/",),
}


def examples(command: str) -> str:
    """Return the examples of a command as its help shows them, one a paragraph."""
    shown = EXAMPLES[command]
    return "\n\n".join(("Example:" if len(shown) == 1 else "Examples:", *shown))
