"""The main job through the front door: a partner verifies a signed merchant and gets a provable answer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.audit.receipt import verify_receipt
from tests.conftest import Database
from tests.fakes import gateway as kit
from tests.fakes.gateway import Gateway, running_gateway


@pytest.fixture
async def gateway(database: Database, tmp_path: Path) -> AsyncIterator[Gateway]:
    async with running_gateway(database, tmp_path) as running:
        yield running


@pytest.mark.parametrize(
    ("uscc", "outcome"),
    [
        (kit.CLEAR, "clear"),
        (kit.ABNORMAL, "restricted"),
        (kit.SERIOUS, "restricted"),
        (kit.DEFAULTER, "restricted"),
        (kit.DISPUTED, "restricted"),
        (kit.UNKNOWN, "unknown_subject"),
        (kit.PARTIAL, "partial"),
    ],
)
async def test_sandbox_merchants_answer_as_their_names_say(gateway: Gateway, uscc: str, outcome: str) -> None:
    """Each sandbox merchant has its outcome, and each answer a receipt that verifies offline."""
    partner = await gateway.partner()

    status, _headers, answer = await partner.verify(uscc)

    assert (status, answer["outcome"]) == (200, outcome)
    verify_receipt(kit.canonical_json(answer), gateway.policy)
