"""The client against a platform that hangs, breaks and lies (F17 to F20): each failure has its name, and ends in time."""

import dataclasses
import gzip

import pytest

from gateway.base.crypto import sha256
from gateway.credit.feed_version import FeedRefused, FeedUnreachable, VersionKind
from gateway.sandbox.publisher import Publisher
from tests.fakes import municipal as fakes
from tests.fakes.municipal import FEED, PATIENT, QUICK, FakeMunicipal, SteadyClock, client_of, make_town, serving


@pytest.fixture
async def platform(tmp_path):
    publisher = Publisher(tmp_path, feed=FEED, clock=SteadyClock())
    publisher.publish(VersionKind.SNAPSHOT, make_town(200, listed=20))
    async with serving(publisher, tmp_path) as fake:
        yield fake


async def read_all(fake: FakeMunicipal, manifest=None, limits=PATIENT):
    async with client_of(fake) as client:
        wanted = manifest or await client.manifest(1)
    async with client_of(fake, limits=limits) as client, client.open_file(wanted) as batches:
        return [line async for batch in batches for line in batch.lines]


async def test_an_honest_platform_is_read_to_the_last_line(platform):
    async with client_of(platform) as client:
        head = await client.head()
        manifest = await client.manifest(head.version)
    lines = await read_all(platform)

    assert (head.version, head.digest) == (1, manifest.digest)
    assert len(lines) == manifest.counts.lines == 220


@pytest.mark.parametrize(
    ("lie", "reason"),
    [
        (fakes.hang, "deadline_passed"),
        (fakes.hang_after_headers, "deadline_passed"),
        (fakes.drip, "deadline_passed"),
        (fakes.server_error, "status_503"),
        (fakes.redirect, "status_302"),
        (fakes.cut_off, "cut_off"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
async def test_a_platform_that_gives_no_answer_is_unreachable(platform, lie, reason):
    platform.lies["/head.json"] = lie

    async with client_of(platform, limits=QUICK) as client:
        with pytest.raises(FeedUnreachable) as failed:
            await client.head()

    assert str(failed.value) == reason


async def test_a_platform_that_is_not_there_is_unreachable(platform):
    platform.url = "http://127.0.0.1:1"

    async with client_of(platform) as client:
        with pytest.raises(FeedUnreachable) as failed:
            await client.head()

    assert str(failed.value) == "connection_failed"


@pytest.mark.parametrize(
    ("lie", "reason"),
    [
        (fakes.html, "not_an_envelope"),
        (fakes.truncated, "not_an_envelope"),
        (fakes.endless, "document_too_large"),
        (fakes.encoded, "content_encoded"),
        (fakes.instead(b""), "not_an_envelope"),
        (fakes.instead(b'{"version":9}'), "not_an_envelope"),
    ],
    ids=["html", "truncated", "endless", "encoded", "empty", "unsigned"],
)
async def test_a_head_that_is_not_what_it_must_be_is_refused(platform, lie, reason):
    platform.lies["/head.json"] = lie

    async with client_of(platform) as client:
        with pytest.raises(FeedRefused) as refused:
            await client.head()

    assert refused.value.reason == reason


async def test_a_platform_whose_key_is_not_registered_is_refused(platform, tmp_path):
    other = Publisher(tmp_path / "other", feed=FEED, clock=SteadyClock())

    async with client_of(platform, keys=other.keys_text.replace("sandbox", "other")) as client:
        with pytest.raises(FeedRefused) as refused:
            await client.head()

    assert refused.value.reason == "key_unknown"


FILE = "/files/00000001-snapshot.ndjson.gz"


@pytest.mark.parametrize(
    ("lie", "reason"),
    [
        (fakes.cut_off, "file_truncated"),
        (fakes.truncated, "file_truncated"),
        (fakes.endless, "file_too_large"),
        (fakes.wrong_length, "length_differs"),
        (fakes.flipped, "digest_differs"),
        (fakes.encoded, "content_encoded"),
        (fakes.html, "length_differs"),
        (fakes.instead(b""), "length_differs"),
    ],
    ids=["cut off", "truncated", "endless", "wrong length", "bit flipped", "encoded", "html", "empty"],
)
async def test_a_file_that_is_not_the_signed_one_is_refused_before_a_line_is_read(platform, lie, reason):
    platform.lies[FILE] = lie

    with pytest.raises(FeedRefused) as refused:
        await read_all(platform)

    assert refused.value.reason == reason


@pytest.mark.parametrize(
    ("lie", "reason"),
    [
        (fakes.hang, "deadline_passed"),
        (fakes.hang_after_headers, "deadline_passed"),
        (fakes.drip, "deadline_passed"),
        (fakes.server_error, "status_503"),
        (fakes.redirect, "status_302"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
async def test_a_file_that_does_not_come_is_unreachable(platform, lie, reason):
    platform.lies[FILE] = lie

    with pytest.raises(FeedUnreachable) as failed:
        await read_all(platform, limits=QUICK)

    assert str(failed.value) == reason


async def test_a_bomb_is_stopped_at_the_size_that_was_signed(platform, tmp_path):
    """Even a file signed by the platform may not unpack to more than its manifest says."""
    bomb = gzip.compress(b"0" * 30_000_000)
    (tmp_path / FILE.lstrip("/")).write_bytes(bomb)
    async with client_of(platform) as client:
        honest = await client.manifest(1)
    file = dataclasses.replace(honest.file, size_bytes=len(bomb), sha256=sha256(bomb))

    with pytest.raises(FeedRefused) as refused:
        await read_all(platform, dataclasses.replace(honest, file=file))

    assert refused.value.reason == "uncompressed_size_differs"


async def test_nothing_is_left_in_the_directory(platform, tmp_path):
    before = sorted(tmp_path.rglob("*"))

    await read_all(platform)

    assert sorted(tmp_path.rglob("*")) == before
