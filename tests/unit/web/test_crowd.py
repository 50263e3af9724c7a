"""Who has to go when more want in than there is room for: for any history, the same few things hold."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.web.crowd import Crowd, CrowdLimits, whose

MOST, OF_ADDRESS = 6, 3


class Guest:
    """A connection that notes that it had to go."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.busy = False
        self.partner = False
        self.gone = False

    def give_way(self) -> None:
        assert not self.busy
        assert not self.partner
        self.gone = True


STEPS = st.lists(st.tuples(st.sampled_from(["come", "prove", "work", "rest", "leave"]), st.integers(0, 9)), max_size=80)


@given(STEPS)
def test_the_bounds_hold_and_no_partner_is_sent_away(steps):
    room = Crowd(CrowdLimits(most=MOST, most_of_address=OF_ADDRESS))
    inside: list[Guest] = []
    for step, number in steps:
        if step == "come":
            guest = Guest(f"192.0.2.{number % 4}")
            if room.admit(guest, guest.address):
                inside.append(guest)
            else:
                own = [one for one in inside if one.address == guest.address]
                full = own if len(own) >= OF_ADDRESS else inside
                assert all(one.busy or one.partner for one in full)
        elif inside:
            guest = inside[number % len(inside)]
            if step == "prove":
                guest.partner = True
                room.prove(guest)
            elif step == "leave":
                guest.gone = True
                room.leave(guest)
            else:
                guest.busy = step == "work"
        inside = [one for one in inside if not one.gone]

        assert len(room) == len(inside) <= MOST
        addresses = [one.address for one in inside]
        assert all(addresses.count(address) <= OF_ADDRESS for address in addresses)


def test_the_oldest_goes_first():
    room = Crowd(CrowdLimits(most=2, most_of_address=None))
    guests = [Guest("192.0.2.1") for _ in range(4)]

    for guest in guests:
        assert room.admit(guest, guest.address)

    assert [guest.gone for guest in guests] == [True, True, False, False]


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        (("192.0.2.7", 5), "192.0.2.7"),
        (("2001:db8:1:2:3:4:5:6", 5, 0, 0), "2001:db8:1:2::"),
        (("2001:db8:1:2::9", 5, 0, 0), "2001:db8:1:2::"),
        (("fe80::1%eth0", 5, 0, 2), "fe80::"),
        (("::ffff:192.0.2.7", 5, 0, 0), "192.0.2.7"),
        (None, ""),
        ("", ""),
    ],
)
def test_what_counts_as_one_address(peer, address):
    assert whose(peer) == address
