"""The built app, read once at the start: only names that were there are ever answered, so no path leads elsewhere."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Final

import msgspec
from litestar.types import ASGIApp, Message, Receive, Scope, Send

# `require-trusted-types-for`: no string becomes markup or script, whatever a piece of foreign text holds.
# Svelte makes its own compiled templates through one named policy.
CONTENT_SECURITY_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self' 'wasm-unsafe-eval'",
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "connect-src 'self' ws: wss:",
        "worker-src 'self'",
        "manifest-src 'self'",
        "font-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types svelte-trusted-html default",
    )
)
# For answers that are no page: nothing in them may ever be run or shown in a frame.
NO_PAGE_POLICY: Final = "default-src 'none'; frame-ancestors 'none'"
STRICT: Final = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(self), clipboard-write=(self), microphone=(), geolocation=(), payment=(), usb=()",
}
NO_PAGE: Final = {**STRICT, "content-security-policy": NO_PAGE_POLICY, "cache-control": "no-store"}
_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".wasm": "application/wasm",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
    ".txt": "text/plain; charset=utf-8",
}
_ENCODINGS: Final = (("br", ".br"), ("gzip", ".gz"))
# Vite's names: the content's hash is in them, so the content never changes.
_HASHED: Final = re.compile(r"^/assets/.+-[\w-]{8,}\.\w+$")
_FOREVER: Final = "public, max-age=31536000, immutable"
_ASK_FIRST: Final = "no-cache"


class Variant(msgspec.Struct, frozen=True):
    body: bytes
    headers: dict[str, str]


class Asset(msgspec.Struct, frozen=True):
    variants: dict[str, Variant]
    tag: str

    def best(self, accept_encoding: str) -> Variant:
        offered = {part.split(";")[0].strip() for part in accept_encoding.lower().split(",") if ";q=0" not in part}
        for encoding, _ in _ENCODINGS:
            if encoding in offered and encoding in self.variants:
                return self.variants[encoding]
        return self.variants[""]


class App:
    def __init__(self, folder: Path) -> None:
        self._assets: dict[str, Asset] = {}
        for file in sorted(folder.rglob("*")):
            # A link may lead out of the folder; a hidden file was not meant for the world.
            name = "/" + file.relative_to(folder).as_posix()
            if file.is_file() and not file.is_symlink() and file.suffix in _TYPES and "/." not in name:
                self._assets[name] = _asset(name, file)
        if "/index.html" not in self._assets:
            raise FileNotFoundError(f"no index.html in {folder}")
        self._assets["/"] = self._assets["/index.html"]

    def find(self, path: str, is_navigation: bool) -> Asset | None:
        """A path that names no file is a screen of the app, if somebody goes there; a script or picture is absent."""
        found = self._assets.get(path)
        if found is None and is_navigation and "." not in path and not path.startswith(("/v1/", "/assets/")):
            found = self._assets["/index.html"]
        return found


def _asset(name: str, file: Path) -> Asset:
    content = file.read_bytes()
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {
        **STRICT,
        "content-type": _TYPES[file.suffix],
        "cache-control": _FOREVER if _HASHED.match(name) else _ASK_FIRST,
        "etag": tag,
        "vary": "accept-encoding",
        # On scripts too: a worker takes its policy from its own answer.
        "content-security-policy": CONTENT_SECURITY_POLICY,
    }
    variants = {"": Variant(content, headers)}
    for encoding, suffix in _ENCODINGS:
        packed = file.with_name(file.name + suffix)
        if packed.is_file():
            variants[encoding] = Variant(packed.read_bytes(), {**headers, "content-encoding": encoding})
    return Asset(variants, tag)


def strict(app: ASGIApp) -> ASGIApp:
    """Around everything: an answer that brings no policy of its own, an error page too, may run nothing."""
    missing = [(name.encode(), value.encode()) for name, value in NO_PAGE.items()]

    async def middleware(scope: Scope, receive: Receive, send: Send) -> None:
        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = list(message["headers"])
                present = {name.lower() for name, _ in headers}
                if b"content-security-policy" not in present:
                    headers += [(name, value) for name, value in missing if name not in present]
                    message["headers"] = headers
            await send(message)

        await app(scope, receive, guarded if str(scope["type"]) == "http" else send)

    return middleware
