"""``sar2opt search``: which scenes a catalogue has."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from sar2opt.cli.console import out
from sar2opt.errors import ConfigError


def search(
    catalogue: Annotated[str, typer.Argument(help="address of a STAC API", show_default=False)],
    box: Annotated[
        str, typer.Option("--bbox", help="west,south,east,north in degrees", show_default=False)
    ],
    collection: Annotated[list[str] | None, typer.Option(help="may be repeated")] = None,
    dates: Annotated[str, typer.Option(help="2024-05-01/2024-05-31; an open end is ..")] = "",
    most: Annotated[int, typer.Option(help="items at the most")] = 20,
    folder: Annotated[
        Path | None, typer.Option("--out", help="write the items here, for 'sar2opt run'")
    ] = None,
) -> None:
    """List the scenes that a STAC catalogue has of a place and time."""
    from sar2opt.scenes import stac_search

    try:
        west, south, east, north = (float(part) for part in box.split(","))
    except ValueError:
        raise ConfigError(f"--bbox is '{box}': say west,south,east,north in degrees") from None
    wanted = stac_search.Search(tuple(collection or ()), (west, south, east, north), dates, most)
    items = stac_search.search(catalogue, wanted)
    table = Table("scene", "acquired", "orbit", "polarisations", box=None)
    for item in items:
        table.add_row(*stac_search.facts(item).values())
    out.print(table if items else "no scene of that place and time")
    for path in stac_search.write_items(items, folder) if folder else ():
        out.print(str(path))
