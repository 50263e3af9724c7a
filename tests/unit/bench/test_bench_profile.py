"""Reading the sampler's stacks."""

from collections import Counter

from bench.processes import ROOT
from bench.profile import parse_frame, parse_stacks, render_table

STACKS = [
    f"main ({ROOT}/bench/service.py:70);verify ({ROOT}/gateway/identity/proof.py:10);sign (/v/site-packages/jose/a.py:3) 3",
    f"main ({ROOT}/bench/service.py:70);verify ({ROOT}/gateway/identity/proof.py:12) 1",
]


def test_own_time_goes_to_the_innermost_frame():
    assert parse_stacks(STACKS).own == Counter({"sign  jose/a.py": 3, "verify  gateway/identity/proof.py": 1})


def test_time_with_callees_goes_to_every_frame_of_the_stack_once():
    recursive = ["f (a.py:1);f (a.py:2);f (a.py:1) 5"]

    assert parse_stacks(STACKS).with_callees["verify  gateway/identity/proof.py"] == 4
    assert parse_stacks(recursive).with_callees == Counter({"f  a.py": 5})


def test_a_package_is_our_area_or_the_library():
    assert parse_stacks(STACKS).packages == Counter({"jose": 3, "gateway.identity": 1})


def test_a_frame_without_file_is_native():
    assert parse_frame("EVP_DigestVerify").package == "native"


def test_a_function_name_with_brackets_keeps_them():
    frame = parse_frame("outer.<locals>.inner (x) (/v/lib/python3.11/asyncio/tasks.py:9)")

    assert (frame.function, frame.short, frame.line) == ("outer.<locals>.inner (x)", "asyncio/tasks.py", 9)


def test_shares_are_told_in_microseconds_of_a_request():
    table = render_table("own", Counter({"sign": 3, "verify": 1}), 4, 200.0, 1)

    assert table.splitlines() == ["own", "  share   µs/req", "  75.0%    150.0  sign"]
