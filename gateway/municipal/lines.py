"""From the gzip file of a version to parsed lines, in batches, with memory that does not grow with the file.

For: opening what was downloaded and whose digest was verified, under the uncompressed size that was signed. Not for: the meaning of a
line (``gateway.credit.feed``), nor what a bad one leads to.
Source: RFC 1952 (one member only: a second would escape the signed size's meaning), NDJSON (lines end with LF).
"""

from __future__ import annotations

import asyncio
import zlib
from contextlib import asynccontextmanager
from typing import IO, TYPE_CHECKING, Final

from gateway.base.crypto import sha256
from gateway.credit.feed import FeedLine, LineError, parse_line
from gateway.credit.feed_version import BadLine, FeedReason, FeedRefused, LineBatch, VerifiedManifest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

BATCH_LINES: Final = 4000
"""About 2 MB of lines: large enough for COPY, small enough to stay flat."""
MAX_LINE_BYTES: Final = 64 * 1024
"""A penalty with a long text has 4 kB."""

_READ_BYTES: Final = 256 * 1024
_GZIP: Final = 16 + zlib.MAX_WBITS


@asynccontextmanager
async def stream_batches(spool: IO[bytes], manifest: VerifiedManifest) -> AsyncIterator[AsyncIterator[LineBatch]]:
    """Give the lines of a file as batches, each read in a thread while the one before is being stored.

    ``FeedRefused`` if it is not one gzip member of exactly the signed size, or a line is too long.
    """
    source = read_batches(spool, manifest)
    ahead = asyncio.ensure_future(asyncio.to_thread(next, source, None))

    async def follow() -> AsyncIterator[LineBatch]:
        nonlocal ahead
        while (batch := await ahead) is not None:
            ahead = asyncio.ensure_future(asyncio.to_thread(next, source, None))
            yield batch

    try:
        yield follow()
    finally:
        # A thread cannot be cancelled, and the file is closed next: wait for the one batch that may still be read.
        await asyncio.wait({ahead})
        if not ahead.cancelled():
            ahead.exception()


def read_batches(spool: IO[bytes], manifest: VerifiedManifest) -> Iterator[LineBatch]:
    """Yield the parsed lines in batches of ``BATCH_LINES``; blocking."""
    first, lines = 1, list[bytes]()
    for line in _read_lines(spool, manifest.file.uncompressed_bytes):
        lines.append(line)
        if len(lines) == BATCH_LINES:
            yield _parse_batch(first, lines)
            first, lines = first + len(lines), []
    if lines:
        yield _parse_batch(first, lines)


def _parse_batch(first: int, raw_lines: list[bytes]) -> LineBatch:
    lines = list[FeedLine]()
    bad = list[BadLine]()
    for number, raw in enumerate(raw_lines, first):
        try:
            lines.append(parse_line(raw))
        except LineError as exc:
            bad.append(
                BadLine(
                    number=number,
                    record_id=exc.record_id,
                    subject_key=exc.subject_key,
                    reason=exc.reason,
                    digest=sha256(raw),
                )
            )
    return LineBatch(lines=lines, bad=bad)


def _read_lines(spool: IO[bytes], size: int) -> Iterator[bytes]:
    rest = b""
    for chunk in _inflate(spool, size):
        lines = (rest + chunk).split(b"\n")
        rest = lines.pop()
        if len(rest) > MAX_LINE_BYTES:
            raise FeedRefused(FeedReason.LINE_TOO_LONG)
        for line in lines:
            if len(line) > MAX_LINE_BYTES:
                raise FeedRefused(FeedReason.LINE_TOO_LONG)
            yield line
    if rest:
        yield rest


def _inflate(spool: IO[bytes], size: int) -> Iterator[bytes]:
    """Yield pieces of at most ``_READ_BYTES``; refuse the moment there is more than the signed size, and less at the end."""
    inflater = zlib.decompressobj(_GZIP)
    total = 0
    try:
        while not inflater.eof and (compressed := inflater.unconsumed_tail or spool.read(_READ_BYTES)):
            piece = inflater.decompress(compressed, _READ_BYTES)
            total += len(piece)
            if total > size:
                raise FeedRefused(FeedReason.UNCOMPRESSED_SIZE_DIFFERS, "more than signed")
            if piece:
                yield piece
    except zlib.error as exc:
        raise FeedRefused(FeedReason.NOT_GZIP) from exc
    if not inflater.eof or inflater.unused_data or spool.read(1):
        raise FeedRefused(FeedReason.NOT_GZIP, "not exactly one member")
    if total != size:
        raise FeedRefused(FeedReason.UNCOMPRESSED_SIZE_DIFFERS, "less than signed")
