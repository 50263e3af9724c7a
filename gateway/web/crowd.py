"""Which connections a process keeps when more want in than it can hold.

For: the bound on connections, for a whole process and for one address. Not for: requests (``gateway.web.activity``, ``gateway.web.lane``).

Who has to go. Turning the newcomer away would hand every place to whoever came first, and a stranger can come first for nothing: it would
only have to hold on. So the oldest connection that has not yet carried an authenticated request is closed to make room, and a flood pushes
out itself. A connection that has carried one is never closed for a newcomer: its partner is known by name and answers for what it holds.
Only where nothing but such connections is left, or requests under way, the newcomer is closed, at once.

Oldest by arrival, not by last use: a stranger could refresh the latter for nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import Final, Protocol

_HOST_BITS: Final = 64


class Member(Protocol):
    """A connection, as far as it matters here; compared by identity."""

    @property
    def busy(self) -> bool:
        """Whether a complete request is being served, which must not be cut off."""
        ...

    def give_way(self) -> None:
        """Close at once, for another's sake."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CrowdLimits:
    """``most`` connections in all; ``most_of_address`` from one address, or None where a proxy in front is the only address there is."""

    most: int
    most_of_address: int | None


def whose(peer: object) -> str:
    """Return what counts as one address of a socket's peer (as ``getpeername`` gives it): an IPv4 address, or the /64 of an IPv6 one.

    Whoever has one IPv6 address has all of its /64.
    """
    host = str(peer[0]) if isinstance(peer, tuple) and peer else ""
    if ":" not in host:
        return host
    address = IPv6Address(host.partition("%")[0])
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(IPv6Address(int(address) >> _HOST_BITS << _HOST_BITS))


class _Address:
    """The connections of one address."""

    __slots__ = ("partners", "strangers")

    def __init__(self) -> None:
        self.strangers: dict[Member, None] = {}
        self.partners = 0


class Crowd:
    """The open connections of a process, strangers in the order of their arrival. Owner: one event loop."""

    def __init__(self, limits: CrowdLimits) -> None:
        self._limits: Final = limits
        self._address_of: Final[dict[Member, str]] = {}
        self._strangers: Final[dict[Member, None]] = {}
        self._addresses: Final[dict[str, _Address]] = {}

    def __len__(self) -> int:
        """Return the number of connections kept."""
        return len(self._address_of)

    def admit(self, member: Member, address: str) -> bool:
        """Take a newcomer in, closing another for it if need be; tell whether there was room.

        1. Within its address.  2. Within the process.
        """
        limits = self._limits
        # 1
        own = self._addresses.get(address)
        full = own is not None and len(own.strangers) + own.partners >= (limits.most_of_address or limits.most)
        if own is not None and full and not self._close_oldest(own.strangers):
            return False
        # 2
        if len(self) >= limits.most and not self._close_oldest(self._strangers):
            return False
        self._address_of[member] = address
        self._strangers[member] = None
        self._addresses.setdefault(address, _Address()).strangers[member] = None
        return True

    def prove(self, member: Member) -> None:
        """Note that a connection has carried an authenticated request."""
        if self._strangers.pop(member, self) is None:
            own = self._addresses[self._address_of[member]]
            del own.strangers[member]
            own.partners += 1

    def leave(self, member: Member) -> None:
        """Forget a connection that has ended; one that is not kept is no fault."""
        address = self._address_of.pop(member, None)
        if address is None:
            return
        own = self._addresses[address]
        if self._strangers.pop(member, self) is None:
            del own.strangers[member]
        else:
            own.partners -= 1
        if not own.strangers and not own.partners:
            del self._addresses[address]

    def _close_oldest(self, among: dict[Member, None]) -> bool:
        for member in among:
            if not member.busy:
                self.leave(member)
                member.give_way()
                return True
        return False
