"""Whether a sampled answer says what it must: a figure counts only if it does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.base.canonical import JsonError, parse_json_object

if TYPE_CHECKING:
    from bench.load import Sample
    from bench.window import Check
    from bench.world import World


class Judge:
    """Knows the outcome each code must be answered with."""

    def __init__(self, world: World) -> None:
        self._expected = world.expected

    def for_level(self, level: str) -> Check | None:
        """Return the check for a level of the ladder: what the level promises, no more."""
        return None if level in {"L1", "L1c", "L2"} else self.outcome

    def outcome(self, sample: Sample) -> str | None:
        """Compare the outcome with what the city was built to give."""
        try:
            members = parse_json_object(sample.body)
        except JsonError as exc:
            return f"not JSON: {exc}"
        expected = self._expected[sample.asked.code]
        if members.get("outcome") != expected:
            return f"{sample.asked.code}: {members.get('outcome')} instead of {expected}"
        return None

    def reference(self, sample: Sample) -> str | None:
        """Check an answer of reference A."""
        return self.outcome(sample)
