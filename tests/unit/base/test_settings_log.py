"""Log lines: JSON, only fields with a reason, and nothing that a stranger wrote. Each in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from gateway.base.log import FIELDS

START = """
from gateway.base.log import configure_logging, get_logger
from gateway.base.settings import LogFormat, LogLevel
configure_logging(LogLevel.INFO, LogFormat.{form})
"""


def lines_of(program: str, form: str = "JSON") -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", START.format(form=form) + program],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout.splitlines()


def events_of(program: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines_of(program)]


def test_an_event_is_one_json_line_with_its_time():
    (line,) = events_of("get_logger().info('receipt_issued', status=200)")

    assert (line["event"], line["level"], line["status"]) == ("receipt_issued", "info", 200)
    assert line["at"].endswith("Z")


def test_a_field_without_a_reason_is_dropped_and_its_name_shown():
    (line,) = events_of("get_logger().info('receipt_issued', token='secret', name='x')")

    assert line["dropped"] == ["name", "token"]
    assert "secret" not in json.dumps(line)


def test_an_exception_shows_its_type_and_places_but_not_its_text():
    (line,) = events_of("try:\n int('9199x')\nexcept ValueError:\n get_logger().exception('request_crashed')")

    assert line["error"] == "ValueError"
    assert line["places"]
    assert "9199x" not in json.dumps(line)


def test_what_is_less_severe_is_not_written():
    assert lines_of("get_logger().debug('noise_made')") == []


def test_no_line_is_lost_when_the_process_ends():
    program = "import asyncio\nasync def main():\n for n in range(100): get_logger().info('made', size=n)\nasyncio.run(main())"

    assert [line["size"] for line in events_of(program)] == list(range(100))


def test_people_may_read_it_as_text():
    (line,) = lines_of("get_logger().info('receipt_issued', status=200)", form="CONSOLE")

    assert "receipt_issued" in line
    assert not line.startswith("{")


def test_every_field_says_why_it_may_be_logged():
    assert all(FIELDS.values())
