"""Who may ask, and what browsers are told: token, hosts, headers, and finished tiles kept."""

from __future__ import annotations

import hmac
import os
from asyncio import Semaphore
from collections import OrderedDict
from collections.abc import Callable, Iterable
from http.cookies import CookieError, SimpleCookie
from threading import Lock
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "sar2opt_token"
REPORT_POLICY = "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_KEPT_BYTES = 64_000_000
_METHODS = ("GET", "HEAD", "OPTIONS")


def page_policy(embedders: Iterable[str]) -> str:
    """Return the content security policy; ``embedders`` may show the page in a frame."""
    framing = " ".join(["'self'", *embedders])
    return (
        "default-src 'self'; img-src 'self' data: blob:; worker-src 'self'; object-src 'none'; "
        f"base-uri 'none'; form-action 'none'; frame-ancestors {framing}"
    )


class Guard:
    """Refuses what may not be asked, and adds security headers to every answer."""

    def __init__(self, app: ASGIApp, token: str, policy: str) -> None:
        self.app, self.token, self.policy = app, token, policy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._secure(MutableHeaders(scope=message), scope)
            await send(message)

        if scope["method"] not in _METHODS:
            answer = PlainTextResponse("this server is read-only", 405)
            await answer(scope, receive, secured)
        elif self.token and not self._allowed(scope):
            answer = PlainTextResponse("a token is needed: open the address with ?token=...", 401)
            await answer(scope, receive, secured)
        else:
            await self.app(scope, receive, secured)

    def _secure(self, headers: MutableHeaders, scope: Scope) -> None:
        headers.setdefault("Content-Security-Policy", self.policy)
        headers["X-Content-Type-Options"] = "nosniff"
        headers["Referrer-Policy"] = "no-referrer"  # an address may hold the token
        headers["Permissions-Policy"] = "geolocation=(), camera=(), microphone=()"
        if self.token and scope["path"] == "/" and self._allowed(scope):
            headers.append("Set-Cookie", f"{COOKIE}={self.token}; Path=/; HttpOnly; SameSite=Lax")

    def _allowed(self, scope: Scope) -> bool:
        headers = Headers(scope=scope)
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [])
        scheme, _, credentials = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            given.append(credentials)
        try:
            cookies = SimpleCookie(headers.get("cookie", ""))
        except CookieError:
            cookies = SimpleCookie()
        if COOKIE in cookies:
            given.append(cookies[COOKIE].value)
        return any(hmac.compare_digest(one.encode(), self.token.encode()) for one in given)


class TileCache:
    """Keeps finished tiles in memory, the most recently used, up to a number of bytes.

    ``stamp(path)`` tells of which state of a product a tile is, or None if it is none to keep.
    Others are made two at a time for each processor, in the order in which they are asked
    for: more at once would all be late.
    """

    def __init__(self, app: ASGIApp, stamp: Callable[[str], int | None]) -> None:
        self.app, self.stamp = app, stamp
        self._making = Semaphore(2 * (os.cpu_count() or 1))
        self._kept: OrderedDict[tuple[str, bytes, int], tuple[Message, bytes]] = OrderedDict()
        self._bytes, self._lock = 0, Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, from memory if it was served before."""
        path = scope.get("path", "")
        stamp = self.stamp(path) if scope["type"] == "http" and "/tiles/" in path else None
        if stamp is None or scope["method"] != "GET":
            await self.app(scope, receive, send)
            return
        key = (path, scope["query_string"], stamp)
        if (found := self._get(key)) is not None:
            start, body = found
            await send({**start, "headers": list(start["headers"])})
            await send({"type": "http.response.body", "body": body})
            return
        start, parts = {}, []

        async def kept(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                start = {**message, "headers": list(message["headers"])}
            else:
                parts.append(message.get("body", b""))
                if start["status"] == 200 and not message.get("more_body"):
                    self._put(key, (start, b"".join(parts)))
            await send(message)

        async with self._making:
            await self.app(scope, receive, kept)

    def _get(self, key: tuple[str, bytes, int]) -> tuple[Message, bytes] | None:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def _put(self, key: tuple[str, bytes, int], tile: tuple[Message, bytes]) -> None:
        with self._lock:
            if key not in self._kept:
                self._bytes += _size(key, tile)
            self._kept[key] = tile
            while self._bytes > _KEPT_BYTES:
                self._bytes -= _size(*self._kept.popitem(last=False))


def _size(key: tuple[str, bytes, int], tile: tuple[Message, bytes]) -> int:
    """Return about how many bytes a kept tile takes, its address and its headers included."""
    return len(tile[1]) + len(key[0]) + len(key[1]) + 2000
