"""Texts made to drive a terminal, one kind each, documents in which every text is such a one, and a server that sends them.

For: tests of whatever shows a text of others. ``seen`` is an oracle of its own, not the code's.
"""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from msgspec import inspect

KINDS: dict[str, str] = {
    "escape sequence": "\x1b[2J\x1b[31m",
    "operating system command": "\x1b]52;c;ZXZpbA==\x07",
    "hyperlink": "\x1b]8;;http://evil.example\x1b\\",
    "carriage return": "\r",
    "line feed": "\n✔ FORGED",
    "both line ends": "\r\n✔ FORGED",
    "tabulator": "\t",
    "backspace": "\x08\x08",
    "bell": "\x07",
    "null": "\x00",
    "delete": "\x7f",
    "vertical tab and form feed": "\x0b\x0c",
    "next line": "\x85",
    "C1 control sequence introducer": "\x9b31m",
    "C1 string": "\x9d0;title\x9c",
    **{
        f"bidi U+{code:04X}": chr(code)
        for code in (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
    },
    **{
        f"zero width U+{code:04X}": chr(code)
        for code in (0x00AD, 0x200B, 0x200C, 0x200D, 0x2060, 0x2061, 0x206A, 0xFEFF)
    },
    "line separator": "\u2028",
    "paragraph separator": "\u2029",
    "annotation": "\ufff9x\ufffa",
    "tag characters": "\U000e0041\U000e007f",
    "variation selectors": "\ufe0f\U000e0100",
    "invisible letters": "\u115f\u1160\u3164\uffa0\u034f\u180e",
    "private use": "\ue000\U000f0000",
    "no character": "\ufffe\U0001ffff",
}
LONE_SURROGATES = "\udc9b\udcff"
"""What Python makes of bytes that are not UTF-8, in names of files and in header fields. In no JSON that our reader takes."""
ALL = "|".join(KINDS.values())
INVISIBLE = set("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0\ufe0f\u180b\u180c\u180d\u180e\u180f\U000e0100")


def around(kind: str) -> str:
    """Return a text with a kind in the middle, so that a test sees whether the text was shown at all."""
    return f"甲{kind}乙"


def seen(text: str) -> set[str]:
    """Return what of a text may not reach a terminal; spaces of all widths, line feeds and the planes of ideographs may."""
    return {char for char in text if char in INVISIBLE or not _may_be_shown(char)}


def _may_be_shown(char: str) -> bool:
    return char == "\n" or char.isprintable() or unicodedata.category(char) == "Zs" or 0x20000 <= ord(char) < 0x3FFFE


def filled(kind: Any, text: str) -> Any:
    """Return a document of a msgspec type in which every text, choice, day and name of a member is ``text``; nothing is left out."""
    return _tree(inspect.type_info(kind), text)


def _tree(info: Any, text: str) -> Any:
    match info:
        case inspect.StructType():
            return {field.encode_name: _tree(field.type, text) for field in info.fields}
        case inspect.UnionType():
            return _tree(next(part for part in info.types if not isinstance(part, inspect.NoneType)), text)
        case inspect.VarTupleType() | inspect.ListType():
            return [_tree(info.item_type, text)]
        case inspect.DictType():
            return {text: text}
        case inspect.IntType():
            return 7
        case inspect.BoolType():
            return True
        case inspect.StrType() | inspect.EnumType() | inspect.DateType():
            return text
    raise AssertionError(info)


def document(kind: Any, text: str) -> bytes:
    """Return such a document as JSON with the texts as they are, unescaped where JSON allows it."""
    return msgspec.json.encode(filled(kind, text))


@asynccontextmanager
async def server(*answers: bytes) -> AsyncIterator[str]:
    """Answer the first connection's requests with the given bytes, one each, whatever is asked."""
    waiting = list(answers)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while waiting:
                head = await reader.readuntil(b"\r\n\r\n")
                fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
                await reader.readexactly(int(fields.get(b"content-length", b"0")))
                writer.write(waiting.pop(0))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"


def answer(
    status: int, body: bytes, *, head: bytes = b"", reason: bytes = b"X", kind: bytes = b"application/json"
) -> bytes:
    return b"HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n%s\r\n%s" % (
        status,
        reason,
        kind,
        len(body),
        head,
        body,
    )
