"""A batch's MAC says: a host of this log grew that tree into this one, and nothing else."""

from __future__ import annotations

import pytest

from gateway.audit.batch_mac import BatchMac, TreePoint
from gateway.base.secret import Secret

KEY = Secret(b"\x07" * 32)
BEFORE, AFTER = TreePoint(5, b"\x01" * 32), TreePoint(9, b"\x02" * 32)


def test_the_golden_bytes():
    """Hosts of different versions must agree: HMAC-SHA-256 over label, origin and both ends in fixed widths."""
    assert BatchMac(KEY, "log.example/1").make(BEFORE, AFTER).hex() == (
        "b61a10bbb6fee397dd3ed9b581512a9ec304138c13574192f73632d71d453a0c"
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (TreePoint(4, BEFORE.root), AFTER),
        (TreePoint(5, b"\x03" * 32), AFTER),
        (BEFORE, TreePoint(10, AFTER.root)),
        (BEFORE, TreePoint(9, b"\x03" * 32)),
        (AFTER, BEFORE),
    ],
)
def test_another_batch_has_another_mac(before: TreePoint, after: TreePoint):
    mac = BatchMac(KEY, "log.example/1")

    assert not mac.holds(mac.make(BEFORE, AFTER), before, after)


def test_another_log_and_another_key_have_another_mac():
    mac = BatchMac(KEY, "log.example/1").make(BEFORE, AFTER)

    assert not BatchMac(KEY, "log.example/2").holds(mac, BEFORE, AFTER)
    assert not BatchMac(Secret(b"\x08" * 32), "log.example/1").holds(mac, BEFORE, AFTER)


@pytest.mark.parametrize("stored", [None, b"", b"\x00" * 32, b"\x00" * 31])
def test_a_missing_or_foreign_mac_never_holds(stored: bytes | None):
    assert not BatchMac(KEY, "log.example/1").holds(stored, BEFORE, AFTER)


def test_a_root_of_another_length_never_holds_and_is_never_made():
    mac = BatchMac(KEY, "log.example/1")

    assert not mac.holds(b"\x00" * 32, TreePoint(5, b""), AFTER)
    with pytest.raises(ValueError, match="32 bytes"):
        mac.make(BEFORE, TreePoint(9, b"\x02" * 31))
