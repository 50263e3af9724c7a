"""The trust policy: whose signature makes a checkpoint valid, in one text file.

For: reading and writing the file that partners and regulators hold; judging a checkpoint by it.
Not for: what a proof says about a leaf (``receipt``).
Source: c2sp.org/tlog-policy. Log keys have signature type 0x01, witness keys 0x04. Several ``log`` lines may carry
the same name with different keys: one key a gateway host, one name for the log. Narrower than the text in one point:
a policy without a ``log`` line is refused, because here nothing else says which log is meant.

Names are opaque octets in this format, so the file is never decoded as a whole.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from gateway.audit.checkpoint import Checkpoint, parse_checkpoint
from gateway.audit.note import NoteError, SignatureType, VerifiedSignature, VerifierKey, open_note, parse_vkey

MAX_POLICY_BYTES: Final = 65_536
MAX_LINES_OF_A_KIND: Final = 64
"""The specification asks for at least 32 logs, witnesses and groups."""
NO_QUORUM: Final = b"none"

_FORBIDDEN: Final = re.compile(rb"[^\t\n\x20-\x7e\x80-\xff]")
_THRESHOLD: Final = re.compile(rb"[1-9][0-9]{0,3}")


class PolicyError(ValueError):
    """A policy file is not acceptable.

    ``args`` are a short machine word and the number of the line, 0 for the file as a whole.
    """

    def __init__(self, reason: str, line: int = 0) -> None:
        super().__init__(reason, line)


class QuorumError(ValueError):
    """A checkpoint is signed by the log but not cosigned as the policy asks."""


@dataclass(frozen=True, slots=True)
class Group:
    """A named set of witnesses and earlier groups, of which ``threshold`` must have witnessed."""

    name: bytes
    threshold: int
    members: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class VerifiedCheckpoint:
    """A checkpoint that a policy accepts, with the log's key that signed it and the witnesses that cosigned."""

    checkpoint: Checkpoint
    log_key: VerifierKey
    cosignatures: tuple[VerifiedSignature, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Trusted logs, known witnesses and the quorum. Built by ``parse_policy``."""

    logs: tuple[VerifierKey, ...]
    witnesses: tuple[tuple[bytes, VerifierKey], ...]
    groups: tuple[Group, ...]
    quorum: bytes

    def open_checkpoint(self, note: bytes) -> VerifiedCheckpoint:
        """Return what a signed checkpoint states.

        Raises:
            NoteError: no trusted log of the checkpoint's origin signed it, or a known key's signature fails.
            QuorumError: too few of the witnesses cosigned it.
        """
        opened = open_note(note, (*self.logs, *(key for _, key in self.witnesses)))
        checkpoint = parse_checkpoint(opened.text)
        by_log = [found.key for found in opened.signatures if found.key in self.logs]
        # A key is trusted for the log of its own name only: the key of one log must not vouch for another.
        by_log = [key for key in by_log if key.name == checkpoint.origin]
        if not by_log:
            raise NoteError("no_log_signature")
        cosignatures = tuple(found for found in opened.signatures if found.key not in self.logs)
        if not self._is_quorum(cosignatures):
            raise QuorumError("quorum_not_met")
        return VerifiedCheckpoint(checkpoint, by_log[0], cosignatures)

    def _is_quorum(self, cosignatures: Sequence[VerifiedSignature]) -> bool:
        if self.quorum == NO_QUORUM:
            return True
        signers = {found.key for found in cosignatures}
        witnessed = {name for name, key in self.witnesses if key in signers}
        for group in self.groups:  # in file order: a group only names what stands above it
            if sum(member in witnessed for member in group.members) >= group.threshold:
                witnessed.add(group.name)
        return self.quorum in witnessed


def render_policy(log_vkeys: Sequence[str]) -> str:
    """Return a policy that trusts the given keys of a log and asks for no witness."""
    return "".join(f"log {vkey}\n" for vkey in log_vkeys) + "quorum none\n"


def parse_policy(raw: bytes) -> Policy:
    """Read a policy file; ``PolicyError`` names the first line that is not acceptable."""
    if len(raw) > MAX_POLICY_BYTES:
        raise PolicyError("policy_too_long")
    if _FORBIDDEN.search(raw) or (raw and not raw.endswith(b"\n")):
        raise PolicyError("policy_characters")
    draft = _Draft()
    for number, line in enumerate(raw.split(b"\n"), start=1):
        words = re.split(rb"[ \t]+", line.strip(b" \t"))
        if words == [b""] or words[0].startswith(b"#"):
            continue
        try:
            draft.take(words)
        except NoteError as exc:
            raise PolicyError("policy_key", number) from exc
        except PolicyError as exc:
            raise PolicyError(exc.args[0], number) from exc
    return draft.finish()


@dataclass(slots=True)
class _Draft:
    """The policy as read so far."""

    logs: list[VerifierKey] = field(default_factory=list)
    witnesses: dict[bytes, VerifierKey] = field(default_factory=dict)
    groups: dict[bytes, Group] = field(default_factory=dict)
    members: set[bytes] = field(default_factory=set)
    quorum: bytes | None = None

    def take(self, words: list[bytes]) -> None:
        """Add one line."""
        match words:
            case [b"log", vkey] | [b"log", vkey, _]:
                self._add_log(vkey)
            case [b"witness", name, vkey] | [b"witness", name, vkey, _]:
                self._add_witness(name, vkey)
            case [b"group", name, threshold, *members] if members:
                self._add_group(name, threshold, members)
            case [b"quorum", name]:
                self._set_quorum(name)
            case _:
                raise PolicyError("policy_line")

    def finish(self) -> Policy:
        """Return the policy if it is whole."""
        if self.quorum is None:
            raise PolicyError("policy_no_quorum_line")
        if not self.logs:
            raise PolicyError("policy_no_log")
        keys = [*self.logs, *self.witnesses.values()]
        # Key ids are short: two keys of one name could be made to share one, and then a signature says not whose it is.
        if len({(key.name, key.key_id) for key in keys}) != len(keys):
            raise PolicyError("policy_ambiguous_keys")
        return Policy(
            logs=tuple(self.logs),
            witnesses=tuple(self.witnesses.items()),
            groups=tuple(self.groups.values()),
            quorum=self.quorum,
        )

    def _add_log(self, vkey: bytes) -> None:
        key = _parse_key(vkey, SignatureType.ED25519)
        if key.public in {known.public for known in self.logs}:
            raise PolicyError("policy_duplicate_key")
        self.logs.append(key)
        _check_count(len(self.logs))

    def _add_witness(self, name: bytes, vkey: bytes) -> None:
        self._check_new(name)
        key = _parse_key(vkey, SignatureType.COSIGNATURE)
        if key.public in {known.public for known in self.witnesses.values()}:
            raise PolicyError("policy_duplicate_key")
        self.witnesses[name] = key
        _check_count(len(self.witnesses))

    def _add_group(self, name: bytes, threshold: bytes, members: list[bytes]) -> None:
        self._check_new(name)
        for member in members:
            self._check_defined(member)
            # Once in the whole file: a witness must count towards the quorum in one way only.
            if member in self.members:
                raise PolicyError("policy_member_twice")
            self.members.add(member)
        self.groups[name] = Group(name, _parse_threshold(threshold, len(members)), tuple(members))
        _check_count(len(self.groups))

    def _set_quorum(self, name: bytes) -> None:
        if self.quorum is not None:
            raise PolicyError("policy_second_quorum")
        if name != NO_QUORUM:
            self._check_defined(name)
        self.quorum = name

    def _check_new(self, name: bytes) -> None:
        if name == NO_QUORUM or name in self.witnesses or name in self.groups:
            raise PolicyError("policy_name_taken")

    def _check_defined(self, name: bytes) -> None:
        if name not in self.witnesses and name not in self.groups:
            raise PolicyError("policy_name_unknown")


def _parse_threshold(text: bytes, count: int) -> int:
    if text in {b"any", b"all"}:
        return 1 if text == b"any" else count
    if _THRESHOLD.fullmatch(text) is None or int(text) > count:
        raise PolicyError("policy_threshold")
    return int(text)


def _parse_key(text: bytes, kind: SignatureType) -> VerifierKey:
    try:
        key = parse_vkey(text.decode("utf-8"))
    except UnicodeDecodeError as exc:
        raise NoteError("not_utf8") from exc
    if key.kind is not kind:
        raise NoteError("vkey_type")
    return key


def _check_count(count: int) -> None:
    if count > MAX_LINES_OF_A_KIND:
        raise PolicyError("policy_too_many_lines")
