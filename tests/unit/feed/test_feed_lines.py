"""From the file to lines: bounded by what was signed, whatever the file says."""

import dataclasses
import gzip
import io

import pytest

from gateway.credit.feed_version import FeedFile, FeedRefused
from gateway.municipal.lines import BATCH_LINES, read_batches, stream_batches
from gateway.sandbox.lines import encode
from tests.fakes.municipal import make_manifest, make_registration, make_unreadable

TEN = b"".join(encode(make_registration(number)) for number in range(1, 11))


def manifest_for(size):
    file = FeedFile(name="f.gz", size_bytes=1, sha256=b"f" * 32, uncompressed_bytes=size)
    return dataclasses.replace(make_manifest(), file=file)


def read(packed, size):
    return list(read_batches(io.BytesIO(packed), manifest_for(size)))


def test_every_line_of_the_file_is_read_once_in_order():
    (batch,) = read(gzip.compress(TEN), len(TEN))

    assert [line.record_id for line in batch.lines] == [make_registration(n)["id"] for n in range(1, 11)]


def test_a_long_file_comes_in_batches_and_lines_are_numbered_through():
    many = b"".join(encode(make_registration(number)) for number in range(1, BATCH_LINES + 2)) + b"garbage\n"

    batches = read(gzip.compress(many, 1), len(many))

    assert [len(batch.lines) for batch in batches] == [BATCH_LINES, 1]
    assert [bad.number for batch in batches for bad in batch.bad] == [BATCH_LINES + 2]


def test_a_bad_line_names_its_record_its_subject_and_its_reason():
    line = make_unreadable(3)

    (batch,) = read(gzip.compress(encode(line)), len(encode(line)))

    (bad,) = batch.bad
    assert (bad.number, bad.record_id, bad.subject_key) == (1, line["id"], line["uscc"])
    assert bad.reason.endswith("decided_on")


BOMB = gzip.compress(b"0" * 50_000_000)


@pytest.mark.parametrize(
    ("packed", "size", "reason"),
    [
        pytest.param(BOMB, 1000, "uncompressed_size_differs", id="a bomb"),
        pytest.param(gzip.compress(TEN), len(TEN) - 1, "uncompressed_size_differs", id="more than signed"),
        pytest.param(gzip.compress(TEN), len(TEN) + 1, "uncompressed_size_differs", id="less than signed"),
        pytest.param(gzip.compress(TEN)[:-9], len(TEN), "not_gzip", id="cut short"),
        pytest.param(gzip.compress(TEN)[:-8] + b"\0" * 8, len(TEN), "not_gzip", id="wrong checksum"),
        pytest.param(gzip.compress(TEN) * 2, len(TEN), "not_gzip", id="a second member"),
        pytest.param(gzip.compress(TEN) + b"\0", len(TEN), "not_gzip", id="a byte behind"),
        pytest.param(TEN, len(TEN), "not_gzip", id="not compressed"),
        pytest.param(b"", 0, "not_gzip", id="empty"),
        pytest.param(gzip.compress(b"x" * 70_000), 70_000, "line_too_long", id="a line without end"),
        pytest.param(gzip.compress(b"x" * 70_000 + b"\n"), 70_001, "line_too_long", id="a long line"),
    ],
)
def test_a_file_that_is_not_what_was_signed_is_refused(packed, size, reason):
    with pytest.raises(FeedRefused) as refused:
        read(packed, size)

    assert refused.value.reason == reason


async def test_leaving_early_waits_for_the_batch_that_is_being_read():
    """The file is closed right after, and a thread cannot be cancelled."""
    many = b"".join(encode(make_registration(number)) for number in range(1, 3 * BATCH_LINES))
    spool = io.BytesIO(gzip.compress(many, 1))

    async with stream_batches(spool, manifest_for(len(many))) as batches:
        first = await anext(batches)
    spool.close()

    assert len(first.lines) == BATCH_LINES
