"""Fetching the feed from the municipal platform, under limits, and believing none of it before it is verified.

For: head, manifests and files of one feed. Every failure is one of two: ``FeedUnreachable`` (no answer, or an error instead of one)
or ``FeedRefused`` (an answer that is not believed). Not for: when to fetch and what to apply (``gateway.worker.feed``).

Bounded in every direction: a total deadline for each transfer (a read timeout alone lets a drip last for ever), a size known before
the body is read, no redirects, no content encoding (a bomb is opened only by ``lines``, under the size that was signed), no cookies.
"""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Final

import aiohttp

from gateway.credit.feed_version import (
    FeedReason,
    FeedRefused,
    FeedUnreachable,
    LineBatch,
    VerifiedHead,
    VerifiedManifest,
)
from gateway.municipal.envelope import MAX_ENVELOPE_BYTES, PlatformKeys
from gateway.municipal.lines import stream_batches
from gateway.municipal.manifest import verify_head, verify_manifest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

_OK: Final = 200
_CHUNK_BYTES: Final = 512 * 1024
_HEADERS: Final = {"Accept-Encoding": "identity", "User-Agent": "credit-gateway"}


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedLimits:
    """How long a transfer may take. Sizes are not here: they are constants, or signed."""

    document_s: float = 10.0
    """For the whole of a head or a manifest, connecting included."""
    connect_s: float = 3.0
    silence_s: float = 10.0
    """Without a byte. Ends a hanging transfer earlier than its total deadline."""
    file_s: float = 30.0
    """For a file, plus the time its signed size needs at ``slowest_bytes_per_s``."""
    slowest_bytes_per_s: int = 256 * 1024


def open_feed_session(limits: FeedLimits) -> aiohttp.ClientSession:
    """Return the HTTP session for one platform; the caller closes it."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=2),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, connect=limits.connect_s, sock_read=limits.silence_s),
        headers=_HEADERS,
        auto_decompress=False,
        trust_env=False,
    )


class MunicipalFeed:
    """One feed of one platform: ``gateway.worker.ports.FeedSource``.

    Args:
        session: from ``open_feed_session``.
        base_url: address under which the documents lie; an operator's setting, not data from a stranger.
        feed: the feed's name; a document signed for another feed is refused.
        keys: the platform's registered keys.
        directory: where a file lies, nameless, while it is read.
    """

    def __init__(  # noqa: PLR0913 - each is a limit or a trust anchor that must be given by name
        self,
        session: aiohttp.ClientSession,
        *,
        base_url: str,
        feed: str,
        keys: PlatformKeys,
        directory: Path,
        limits: FeedLimits,
    ) -> None:
        self._session: Final = session
        self._base: Final = base_url.rstrip("/")
        self._feed: Final = feed
        self._keys: Final = keys
        self._directory: Final = directory
        self._limits: Final = limits

    async def head(self) -> VerifiedHead:
        """Return the platform's signed word on what is newest."""
        return verify_head(await self._document("head.json"), self._keys, self._feed)

    async def manifest(self, version: int) -> VerifiedManifest:
        """Return the signed manifest that the platform serves for a version; whether it is that version is for the caller."""
        return verify_manifest(await self._document(f"manifests/{version}.json"), self._keys, self._feed)

    @asynccontextmanager
    async def open_file(self, manifest: VerifiedManifest) -> AsyncIterator[AsyncIterator[LineBatch]]:
        """Download a version's file, verify its length and digest, and only then give its lines, batch by batch.

        The lines may still raise ``FeedRefused`` while they are read (a bomb, a wrong uncompressed size).
        """
        with tempfile.TemporaryFile(dir=self._directory) as spool:
            await self._download(manifest, spool)
            spool.seek(0)
            async with stream_batches(spool, manifest) as batches:
                yield batches

    async def _document(self, path: str) -> bytes:
        body = bytearray()
        try:
            async with asyncio.timeout(self._limits.document_s), self._get(path) as response:
                async for chunk in response.content.iter_chunked(MAX_ENVELOPE_BYTES):
                    body += chunk
                    if len(body) > MAX_ENVELOPE_BYTES:
                        raise FeedRefused(FeedReason.DOCUMENT_TOO_LARGE)
        except aiohttp.ClientPayloadError as exc:
            reason = "cut_off"
            raise FeedUnreachable(reason) from exc
        except TimeoutError as exc:
            reason = "deadline_passed"
            raise FeedUnreachable(reason) from exc
        except (aiohttp.ClientError, OSError) as exc:
            reason = "connection_failed"
            raise FeedUnreachable(reason) from exc
        return bytes(body)

    async def _download(self, manifest: VerifiedManifest, spool: IO[bytes]) -> None:
        limits, expected = self._limits, manifest.file
        deadline_s = limits.file_s + expected.size_bytes / limits.slowest_bytes_per_s
        try:
            async with asyncio.timeout(deadline_s), self._get(f"files/{expected.name}") as response:
                declared = response.content_length
                if declared is not None and declared != expected.size_bytes:
                    raise FeedRefused(FeedReason.LENGTH_DIFFERS)
                received, digest = await _spool(response, spool, expected.size_bytes)
        except aiohttp.ClientPayloadError as exc:
            raise FeedRefused(FeedReason.FILE_TRUNCATED, "transfer cut off") from exc
        except TimeoutError as exc:
            reason = "deadline_passed"
            raise FeedUnreachable(reason) from exc
        except (aiohttp.ClientError, OSError) as exc:
            reason = "connection_failed"
            raise FeedUnreachable(reason) from exc
        if received < expected.size_bytes:
            raise FeedRefused(FeedReason.FILE_TRUNCATED)
        if digest != expected.sha256:
            raise FeedRefused(FeedReason.DIGEST_DIFFERS)

    @asynccontextmanager
    async def _get(self, path: str) -> AsyncIterator[aiohttp.ClientResponse]:
        async with self._session.get(f"{self._base}/{path}", allow_redirects=False) as response:
            if response.status != _OK:
                reason = f"status_{response.status}"
                raise FeedUnreachable(reason)
            if response.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
                raise FeedRefused(FeedReason.CONTENT_ENCODED)
            yield response


async def _spool(response: aiohttp.ClientResponse, spool: IO[bytes], limit: int) -> tuple[int, bytes]:
    """Write the body to the file while hashing it; refuse the first byte past ``limit``. Returns length and SHA-256."""
    sha256 = hashlib.sha256()
    received = 0

    def keep(chunk: bytes) -> None:
        sha256.update(chunk)
        spool.write(chunk)

    async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
        received += len(chunk)
        if received > limit:
            raise FeedRefused(FeedReason.FILE_TOO_LARGE)
        await asyncio.to_thread(keep, chunk)  # the disk may be slow, and nothing blocks the loop
    return received, sha256.digest()
