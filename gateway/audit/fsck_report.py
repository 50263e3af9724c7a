"""What a check of the log reports: stable codes, each with where, and how much was compared.

For: every part of ``fsck`` and whoever shows its result. Not for: finding anything.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

MAX_FAULTS: Final = 100
"""A log with more is not read further: whoever looks at a hundred knows what to think of it."""


class FaultCode(StrEnum):
    """What is wrong: stable words for machines, each a sentence in ``gateway.base.messages.fsck``."""

    # The tree and what is stored beside it
    LEAF_HASH = "leaf_hash"
    LEAF_FORM = "leaf_form"
    LEAF_LOG = "leaf_log"
    LOG_ORIGIN = "log_origin"
    INDEX_GAP = "index_gap"
    ENTRY_REPEATED = "entry_repeated"
    ENTRY_STRAY = "entry_stray"
    TILE_MISSING = "tile_missing"
    TILE_HASHES = "tile_hashes"
    TILE_ROOT = "tile_root"
    TILE_BEYOND_HEAD = "tile_beyond_head"
    BATCH_ROOT = "batch_root"
    BATCH_CHAIN = "batch_chain"
    BATCH_MAC = "batch_mac"
    BATCH_TIME = "batch_time"
    BATCH_BEYOND_HEAD = "batch_beyond_head"
    HEAD_SIZE = "head_size"
    HEAD_ROOT = "head_root"
    HEAD_FRONTIER = "head_frontier"
    HEAD_TIME = "head_time"
    HEAD_NOT_A_BATCH = "head_not_a_batch"
    # Columns of an entry
    ENTRY_KIND = "entry_kind"
    ENTRY_PARTNER = "entry_partner"
    ENTRY_OPERATION = "entry_operation"
    ENTRY_PURPOSE = "entry_purpose"
    ENTRY_DECISION = "entry_decision"
    ENTRY_SUBJECT = "entry_subject"
    ENTRY_VERIFICATION = "entry_verification"
    ENTRY_TIME = "entry_time"
    # Secrets
    SECRET_MISSING = "secret_missing"  # noqa: S105 - a code
    SECRET_CHANGED = "secret_changed"  # noqa: S105 - a code
    SECRET_COMMITMENT = "secret_commitment"  # noqa: S105 - a code
    SECRET_NOT_ERASED = "secret_not_erased"  # noqa: S105 - a code
    SECRET_STRAY = "secret_stray"  # noqa: S105 - a code
    ERASURE_UNREADABLE = "erasure_unreadable"
    SEALING_KEY = "sealing_key"
    # One-time ids
    REQUEST_MISSING = "request_missing"
    REQUEST_EXTRA = "request_extra"
    REQUEST_REPEATED = "request_repeated"
    REQUEST_DAY = "request_day"
    REQUEST_PARTITION = "request_partition"
    REQUEST_TWICE = "request_twice"
    # Idempotency keys, partners, credentials
    IDEMPOTENCY_LEAF = "idempotency_leaf"
    IDEMPOTENCY_BODY = "idempotency_body"
    KEY_UNREGISTERED = "key_unregistered"
    KEY_ROW = "key_row"
    KEY_MISSING = "key_missing"
    PARTNER_UNREGISTERED = "partner_unregistered"
    PARTNER_ROW = "partner_row"
    PARTNER_MISSING = "partner_missing"
    CREDENTIAL_UNREGISTERED = "credential_unregistered"
    CREDENTIAL_REVOKED = "credential_revoked"
    ACT_UNREADABLE = "act_unreadable"
    # The database around the log
    SAFEGUARD_CHANGED = "safeguard_changed"
    SAFEGUARD_MISSING = "safeguard_missing"
    SAFEGUARD_UNKNOWN = "safeguard_unknown"
    TRIGGERS_OFF = "triggers_off"
    # What others kept
    CHECKPOINT_CONTRADICTED = "checkpoint_contradicted"
    CHECKPOINT_BEYOND_HEAD = "checkpoint_beyond_head"


@dataclass(frozen=True, slots=True)
class LogFault:
    """One contradiction. ``where`` is a leaf index, a tree size, a ``level/index`` of a tile, or the name of a row."""

    code: FaultCode
    where: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FsckReport:
    """What was compared and what is wrong.

    ``secrets`` were opened and found right, ``unopened`` could not be (no key here, or a shallow pass); ``requests`` one-time ids
    were compared. ``complete`` is False when the pass stopped at too many faults or at a gap.
    """

    leaves: int
    batches: int
    tiles: int
    head_size: int
    root: bytes
    faults: tuple[LogFault, ...]
    complete: bool
    secrets: int = 0
    unopened: int = 0
    requests: int = 0

    @property
    def clean(self) -> bool:
        """Whether everything was compared and nothing is wrong."""
        return self.complete and not self.faults


class Stopped(Exception):  # noqa: N818 - not an error: the report is the result
    """Going on would tell nothing more."""


@dataclass(slots=True)
class Faults:
    """The faults of one pass, bounded."""

    limit: int = MAX_FAULTS
    found: list[LogFault] = field(default_factory=list)

    def add(self, code: FaultCode, where: object) -> None:
        """Note a contradiction; ``Stopped`` at the limit."""
        self.found.append(LogFault(code, str(where)))
        if len(self.found) >= self.limit:
            raise Stopped
