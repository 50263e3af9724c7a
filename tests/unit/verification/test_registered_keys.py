"""The check of a key when it authenticates: what it asks for, what it remembers, and when it stays quiet."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from gateway.audit import entry as leaves
from gateway.audit.batch_mac import TreePoint
from gateway.audit.entry import LeafFields, LeafKind, encode_leaf
from gateway.audit.guard import Doubt, GuardState
from gateway.audit.merkle import leaf_hash
from gateway.audit.plaintext import render_plaintext, seal_plaintext
from gateway.base.canonical import canonical_json
from gateway.base.clock import Millis
from gateway.base.errors import ErrorKind, GatewayError
from gateway.base.sealing import Sealer
from gateway.base.secret import Secret
from gateway.identity.partner import Client, KeyState, PartnerState, StoredClient, revoke_key
from gateway.identity.ports import Unregistered
from gateway.verification.alarm import Alarm
from gateway.verification.leaf_prover import StoredLeafProver
from gateway.verification.ports import StoredLeaf, StoredSecret
from gateway.verification.registered_keys import MAX_LEAVES, RegisteredKeys
from gateway.verification.registrations import Act, key_row, partner_row
from tests.fakes.guard import MemoryGuard, make_guardian
from tests.fakes.memory_log import MemoryLog, make_leaves
from tests.unit.identity.kit import stored
from tests.unit.verification.test_alarm import Heard
from tests.unit.verification.test_registrations import KEY, PARTNER

SEALER = Sealer({1: Secret(bytes(32))}, current=1)
SALT = bytes(range(32))


@dataclass
class World:
    """A log, the rows of operators' acts in it, and the directory."""

    log: MemoryLog = field(default_factory=MemoryLog)
    rows: list[StoredLeaf] = field(default_factory=list)
    client: Client | None = field(default_factory=lambda: Client(partner=PARTNER, keys=(KEY,)))
    heard: Heard = field(default_factory=Heard)
    guard: MemoryGuard = field(default_factory=MemoryGuard)
    read: int = 0

    def __post_init__(self):
        self.log.append(make_leaves(3))
        self.act(Act.PARTNER_ADD, partner_row(PARTNER))
        self.act(Act.KEY_ADD, key_row(KEY, PARTNER.partner_id))
        self.keys = RegisteredKeys(
            directory=self,
            archive=self,
            prover=StoredLeafProver(self.log, make_guardian(self.guard, self.log)),
            sealer=SEALER,
            alarm=Alarm(self.heard, self.heard),
        )

    def act(self, act, said):
        args = canonical_json(said)
        leaf = encode_leaf(
            LeafFields(
                args_c=leaves.seal(SALT, leaves.Committed.ARGS, args).commitment,
                cred=said.get("thumbprint"),
                decision="allow",
                gw="gw",
                log="log",
                n=0,
                op=act,
                partner=PARTNER.partner_id,
                status=200,
                kind=LeafKind.PARTNER if act is Act.PARTNER_ADD else LeafKind.KEY,
                ts="2026-11-22T08:00:00.000Z",
            )
        )
        sealed = seal_plaintext(SEALER, render_plaintext(answer=None, arguments=args), leaf_hash(leaf), SALT)
        secret = StoredSecret(salt=SALT, key_id=1, sealed=sealed)
        self.rows.append(StoredLeaf(leaf_index=self.log.frontier.size, leaf=leaf, secret=secret))
        self.log.append([leaf])
        self.guard.state = GuardState((TreePoint(self.log.frontier.size, self.log.frontier.root),))

    async def registrations(self, partner_id, thumbprint, limit):
        assert (partner_id, thumbprint) == (PARTNER.partner_id, KEY.thumbprint)
        self.read += 1
        return self.rows[:limit]

    async def find_client(self, client_id, kid):
        assert (client_id, kid) == (PARTNER.client_id, KEY.kid)
        return (
            None
            if self.client is None
            else StoredClient(partner=self.client.partner, keys=tuple(map(stored, self.client.keys)))
        )


async def test_a_key_is_proven_once_and_its_leaves_are_looked_at_each_time():
    """Inclusion is shown at the first use; later uses read the leaves alone, so that the leaf of a revocation is seen at once."""
    world = World()
    await world.keys.require(PARTNER, KEY)
    proven = len(world.log.tile_reads)

    for _ in range(3):
        await world.keys.require(PARTNER, KEY)

    assert (proven > 0, len(world.log.tile_reads), world.read) == (True, proven, 4)
    world.act(Act.KEY_REVOKE, key_row(revoke_key(KEY, now=Millis(9), compromised=True), PARTNER.partner_id))
    with pytest.raises(Unregistered):
        await world.keys.require(PARTNER, KEY)
    assert {column for _record, column in world.heard.counted} == {"state", "revoked_ms"}


@pytest.mark.parametrize(
    "changed",
    [
        (replace(PARTNER, scopes=frozenset({"verifications", "admin"})), KEY),
        (PARTNER, replace(KEY, not_before_ms=Millis(4))),
    ],
    ids=["partner", "key"],
)
async def test_what_was_proven_of_other_rows_proves_nothing(changed):
    world = World()
    await world.keys.require(PARTNER, KEY)
    world.client = Client(partner=changed[0], keys=(changed[1],))

    for _ in range(2):
        with pytest.raises(Unregistered):
            await world.keys.require(*changed)

    assert (len(world.heard.counted), len(world.heard.lines)) == (2, 1)


@pytest.mark.parametrize(
    "now",
    [
        None,
        Client(partner=PARTNER, keys=(revoke_key(KEY, now=Millis(9), compromised=True),)),
        Client(partner=replace(PARTNER, state=PartnerState.SUSPENDED), keys=(KEY,)),
    ],
    ids=["gone", "key", "partner"],
)
async def test_an_operator_at_work_is_no_alarm(now):
    """Rows read just before an operator changed them contradict leaves read just after: refused, without an alarm."""
    world = World()
    world.act(Act.KEY_REVOKE, key_row(revoke_key(KEY, now=Millis(9), compromised=True), PARTNER.partner_id))
    world.client = now

    with pytest.raises(Unregistered):
        await world.keys.require(PARTNER, KEY)

    assert (world.heard.counted, world.heard.lines) == ([], [])


def changed_leaf(row):
    return replace(row, leaf=row.leaf.replace(b'"gw":"gw"', b'"gw":"GW"'))


DOUBTS = {
    "not_in_tree": changed_leaf,
    "not_opened": lambda row: replace(row, secret=None),
}


@pytest.mark.parametrize("column", DOUBTS)
@pytest.mark.parametrize("which", [0, 1], ids=["partner.add", "key.add"])
async def test_a_leaf_in_doubt_is_no_registration(column, which):
    world = World()
    world.rows[which] = DOUBTS[column](world.rows[which])

    with pytest.raises(Unregistered):
        await world.keys.require(PARTNER, KEY)

    assert world.heard.counted == [("registration", column)]


@pytest.mark.parametrize("index", [-1, 5, 2**62])
async def test_a_leaf_outside_the_tree_is_not_in_it(index):
    world = World()
    world.rows[1] = replace(world.rows[1], leaf_index=index)

    with pytest.raises(Unregistered):
        await world.keys.require(PARTNER, KEY)

    assert world.heard.counted == [("registration", "not_in_tree")]


async def test_bytes_in_the_tree_that_are_no_leaf():
    """The tree may hold what is no leaf of ours; that registers nobody."""
    world = World()
    world.rows.append(StoredLeaf(leaf_index=0, leaf=make_leaves(1)[0], secret=None))

    with pytest.raises(Unregistered):
        await world.keys.require(PARTNER, KEY)

    assert world.heard.counted == [("registration", "leaf")]


async def test_a_log_in_doubt_registers_nobody():
    """A head that this host does not vouch for proves nothing: refused as the log itself is, not as the key."""
    world = World()
    size = world.log.frontier.size
    world.guard.state = GuardState((TreePoint(size + 1, bytes(32)),))

    with pytest.raises(GatewayError) as refused:
        await world.keys.require(PARTNER, KEY)

    assert (refused.value.kind, refused.value.reason) == (ErrorKind.STORE_UNAVAILABLE, Doubt.ROLLED_BACK)


async def test_more_leaves_than_a_key_can_have_are_not_read():
    world = World()
    world.rows += [world.rows[1]] * MAX_LEAVES

    with pytest.raises(Unregistered):
        await world.keys.require(PARTNER, KEY)

    assert (world.heard.counted, world.log.tile_reads) == ([("registration", "too_many_leaves")], [])


async def test_a_state_that_no_leaf_made_is_refused():
    world = World()
    retiring = replace(KEY, state=KeyState.RETIRING)
    world.client = Client(partner=PARTNER, keys=(retiring,))

    with pytest.raises(Unregistered):
        await world.keys.require(PARTNER, retiring)

    assert world.heard.counted == [("registration", "state")]
