"""The JSON Schemas of the feed, derived from the types that read it.

For: ``schemas/feed/``, which a test holds in step with this module, and for platforms that want to check what they publish.
Not for: validating at run time; the types do that. Source: JSON Schema 2020-12.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from gateway.base.clock import FIRST_DAY, LAST_DAY
from gateway.credit.feed_wire import OWN_MEMBERS, EntryLine, PenaltyLine, RegistrationLine
from gateway.municipal.manifest import HeadDocument, ManifestDocument

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_KINDS: Final = {"registration": RegistrationLine, "penalty": PenaltyLine, "list_entry": EntryLine}
_ID: Final = {"type": "string", "pattern": "^[!-~]{1,128}$"}


def feed_schemas() -> dict[str, dict[str, Any]]:
    """Return the schemas by file name."""
    return {
        "head.schema.json": _document(HeadDocument, "head.json: the payload of its envelope"),
        "manifest.schema.json": _document(ManifestDocument, "manifests/{version}.json: the payload of its envelope"),
        "line.schema.json": _line(),
    }


def _document(form: type[msgspec.Struct], title: str) -> dict[str, Any]:
    schema = msgspec.json.schema(form)
    return {"$schema": _DIALECT, "title": title, **schema, "$defs": _without_our_words(schema["$defs"])}


def _without_our_words(definitions: dict[str, Any]) -> dict[str, Any]:
    """Drop what the types say to their maintainers; a schema is for publishers."""
    return {
        name: {key: rule for key, rule in shape.items() if key != "description"} for name, shape in definitions.items()
    }


def _line() -> dict[str, Any]:
    schemas, definitions = msgspec.json.schema_components(list(_KINDS.values()), ref_template="#/$defs/{name}")
    del schemas  # references only; the definitions hold everything
    puts = [_put(kind, definitions.pop(form.__name__)) for kind, form in _KINDS.items()]
    delete = {
        "type": "object",
        "properties": {"op": {"const": "delete"}, "kind": {"enum": list(_KINDS)}, "id": _ID},
        "required": ["op", "kind", "id"],
    }
    return {
        "$schema": _DIALECT,
        "title": "One line of a feed file (NDJSON)",
        "description": "A lower-case member that is not listed makes a line unreadable, "
        f"and so does a day before {FIRST_DAY} or after {LAST_DAY}; an upper-case member that is not listed is ignored.",
        "oneOf": [*puts, delete],
        "$defs": _without_our_words(definitions),
    }


def _put(kind: str, shape: dict[str, Any]) -> dict[str, Any]:
    properties = {name: rule for name, rule in shape["properties"].items() if name in OWN_MEMBERS[kind]}
    envelope = {
        "op": {"const": "put"},
        "kind": {"const": kind},
        "id": _ID,
        "secrecy": {"type": ["string", "null"], "description": "anything but open refuses the line"},
        "BZ": {"type": ["string", "null"]},
        "legal_representative": {"description": "accepted and not kept"},
    }
    return {
        "title": kind,
        "type": "object",
        "properties": {**envelope, **properties},
        "required": ["op", "kind", "id", *shape.get("required", [])],
        "patternProperties": {"^[A-Z][A-Z0-9_]*$": {}},
        "additionalProperties": False,
    }
