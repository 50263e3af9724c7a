"""What each fault of a field says, and the hint that helps to mend it.

For: the ``errors`` of problem documents. Codes are stable; ``gateway.base.errors.Fault.params`` fill the blanks.
Not for: refusals as a whole (``gateway.base.messages.problems``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gateway.base.errors import Fault
from gateway.base.messages import Lang, Sentence, say

UNKNOWN: Final = "invalid"
"""Said for a code without a sentence of its own, so that rendering a fault can never fail."""

MESSAGES: Final[Mapping[str, Sentence]] = {
    UNKNOWN: Sentence("值无效。", "The value is not valid."),
    # the body as a whole
    "empty_body": Sentence("缺少请求正文。", "The body is missing."),
    "not_json": Sentence("不是合法的 UTF-8 JSON。", "Not valid JSON in UTF-8."),
    "not_an_object": Sentence("应为 JSON 对象。", "Must be a JSON object."),
    "byte_order_mark": Sentence("不可带字节序标记（BOM）。", "Must not start with a byte-order mark."),
    "duplicate_member": Sentence("成员重复出现。", "A member appears twice."),
    "not_an_integer": Sentence("数字只接受整数。", "Numbers must be integers."),
    "integer_too_long": Sentence("整数超过 19 位。", "An integer has more than 19 digits."),
    "too_deep": Sentence("嵌套过深。", "Nested too deeply."),
    # one member
    "required": Sentence("缺少必填成员。", "The member is required."),
    "unknown_member": Sentence("不认识的成员。", "The member is not known."),
    "type": Sentence("类型应为 {expected}。", "The type must be {expected}."),
    "enum": Sentence("不支持的值。", "The value is not one of those allowed."),
    "empty": Sentence("不可为空。", "Must not be empty."),
    "too_long": Sentence("最多 {max} 个字符。", "At most {max} characters."),
    "control_character": Sentence("不可包含控制字符。", "Must not contain control characters."),
    "not_printable": Sentence(
        "只接受可打印的 ASCII 与中文字符。", "Only printable ASCII and Chinese characters are accepted."
    ),
    "subject_missing": Sentence("uscc 与 name 至少给出一个。", "Give uscc, or name, or both."),
    # subject codes
    "length": Sentence("统一社会信用代码应为 18 位。", "A unified social credit code has 18 characters."),
    "alphabet": Sentence(
        "第 {position} 位不是统一社会信用代码的字符。", "Character {position} does not occur in such codes."
    ),
    "checksum": Sentence(
        "第 {position} 位是校验位，与前 17 位不符；若前 17 位无误，应为 {expected}。",
        "Character {position}, the check character, does not fit the first 17; if those are right, it must be {expected}.",
    ),
    # header fields and query parameters
    "idempotency_key": Sentence("应为 1–255 个可打印 ASCII 字符。", "Must be 1 to 255 printable ASCII characters."),
    "repeated": Sentence("只可出现一次。", "Must appear only once."),
    "not_a_number": Sentence("应为非负整数。", "Must be a non-negative integer."),
    "out_of_range": Sentence("超出范围：{allowed}。", "Out of range: {allowed}."),
    "entries_not_public": Sentence(
        "存证条目不公开；公开的是树的哈希与证明。", "Entries are not public; the hashes of the tree and proofs are."
    ),
    "token_in_query": Sentence("令牌不可放在地址中。", "A token must not be sent in the target."),
}

HINTS: Final[Mapping[str, Sentence]] = {
    "unknown_member": Sentence("检查成员名的拼写。", "Check the spelling of the member."),
    "duplicate_member": Sentence("每个成员只写一次。", "Write each member once."),
    "checksum": Sentence(
        "检查是否抄错或颠倒了字符，如 0 与 D、8 与 B、1 与 7。",
        "Check for a mistyped or exchanged character, such as 0 for D, 8 for B or 1 for 7.",
    ),
    "alphabet": Sentence("代码不含字母 I、O、S、V、Z。", "The letters I, O, S, V and Z do not occur in such codes."),
    "length": Sentence("检查是否漏抄或多抄。", "Check for a missing or surplus character."),
    "suggestions": Sentence("是否为 {suggestions}？", "Did you mean {suggestions}?"),
}


def fault_message(fault: Fault, lang: Lang) -> str:
    """Return the sentence of a fault; a code or a blank that is not known gives the general sentence, never an error."""
    try:
        return say(MESSAGES, fault.code, lang, **fault.params)
    except (KeyError, IndexError):
        return say(MESSAGES, UNKNOWN, lang)


def fault_hint(fault: Fault, lang: Lang) -> str | None:
    """Return what may help, or ``None``; suggestions that came with the fault win over the general hint."""
    code = "suggestions" if "suggestions" in fault.params else fault.code
    try:
        return say(HINTS, code, lang, **fault.params)
    except (KeyError, IndexError):
        return None
