"""``sar2opt serve``: the dashboard over finished products."""

from __future__ import annotations

import importlib.util
import socket
import warnings
from pathlib import Path
from typing import Annotated

import typer

from sar2opt.cli.console import err
from sar2opt.errors import ConfigError

_NEEDED = ("fastapi", "titiler.core", "titiler.extensions", "uvicorn")


def serve(
    folder: Annotated[
        Path, typer.Argument(help="folder of products, as 'run' made it", show_default=False)
    ],
    host: Annotated[
        str, typer.Option(help="address to listen on; 0.0.0.0 lets the whole network in")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one")] = 8000,
    token: Annotated[
        str, typer.Option(envvar="SAR2OPT_TOKEN", help="ask for this word before anything is shown")
    ] = "",
    cors: Annotated[
        list[str] | None,
        typer.Option(help="origin of a web page that may read and embed; may be repeated"),
    ] = None,
) -> None:
    """Show finished products on a map in the browser, and serve them to other programs."""
    if missing := [name for name in _NEEDED if not _there(name)]:
        raise ConfigError(f"serve needs {missing[0]}: pip install 'sar2opt[serve]'")
    _check(token, cors or [])
    import uvicorn
    from rasterio.errors import NotGeoreferencedWarning

    from sar2opt.serve.app import LOCAL, Access, make_app

    warnings.simplefilter("ignore", NotGeoreferencedWarning)  # of PNG, which has no place
    local = host in LOCAL
    app = make_app(folder, Access(token, tuple(cors or ()), LOCAL if local else ("*",)))
    listening = _listen(host, port)
    shown = "127.0.0.1" if host == "0.0.0.0" else f"[{host}]" if ":" in host else host
    err.print(f"http://{shown}:{listening.getsockname()[1]}/{'?token=...' if token else ''}")
    if not local:
        err.print(_warning(host, token))
    err.print("Ctrl-C ends it")
    config = uvicorn.Config(app, log_level="warning", server_header=False, lifespan="off")
    uvicorn.Server(config).run(sockets=[listening])


def _there(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def _check(token: str, origins: list[str]) -> None:
    if token and (not token.isascii() or not token.replace("-", "").replace("_", "").isalnum()):
        raise ConfigError("--token: letters, digits, - and _ only, so that it fits in an address")
    for origin in origins:
        plain = origin.startswith(("http://", "https://")) and not set(origin) & set(" ;,\"'\r\n")
        if origin != "*" and not plain:
            raise ConfigError(f"--cors is '{origin}': say an origin such as https://maps.example")


def _listen(host: str, port: int) -> socket.socket:
    """Return the listening socket. Raises ``ConfigError``."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = socket.create_server((host, port), family=family, backlog=128)
        # else the second packet of an answer waits 40 ms for a sign that the first arrived
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listening
    except (OSError, OverflowError) as error:
        reason = str(getattr(error, "strerror", None) or error)
        raise ConfigError(
            f"{host}:{port}: cannot listen there: {reason}; give another --port or --host"
        ) from error


def _warning(host: str, token: str) -> str:
    who = "everybody who reaches this machine" if host in ("0.0.0.0", "::") else f"all at {host}"
    if token:
        return (
            f"listening on {host}: {who} can ask, and is let in by the token; it is not encrypted"
        )
    return f"listening on {host}: {who} can see all products, unencrypted; --token asks for a word"
