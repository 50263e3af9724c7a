"""What the verification of a receipt says, step by step.

``STEPS`` names each step by its code in ``gateway.audit.receipt.ReceiptStep``; ``DETAILS`` says why one failed, by
the machine word of the error. A test keeps both complete.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gateway.base.messages import Sentence

STEPS: Final[Mapping[str, Sentence]] = {
    "parse": Sentence("文件可以读取，含有回执", "The document can be read and holds a receipt"),
    "leaf": Sentence("日志条目是本网关的规范格式", "The log entry is in this gateway's one canonical form"),
    "proof": Sentence("证明符合 c2sp.org/tlog-proof 格式", "The proof is a c2sp.org/tlog-proof"),
    "checkpoint_signature": Sentence(
        "检查点由受信任的日志密钥签名", "The checkpoint is signed by a trusted key of the log"
    ),
    "policy": Sentence("满足信任策略要求的见证签名", "The witnesses that the policy asks for have cosigned"),
    "inclusion": Sentence("条目确在该检查点的日志树中", "The entry is in the log tree of that checkpoint"),
    "answer_commitment": Sentence("答复与日志中承诺的内容一致", "The answer is the one that the log entry commits to"),
    "subject_commitment": Sentence(
        "主体代码与日志中承诺的一致", "The subject is the one that the log entry commits to"
    ),
    "request": Sentence("日志记录的是您自己的请求", "The log entry records your own request"),
}

ANSWER_NOT_CHECKED: Final = Sentence(
    "只核验了回执本身；未提供答复内容，因此未核对答复。",
    "Only the receipt was verified; no answer was given, so none was compared.",
)

DETAILS: Final[Mapping[str, Sentence]] = {
    # parse
    "document_too_long": Sentence("文件过大。", "The document is too large."),
    "too_deep": Sentence("JSON 嵌套过深。", "The JSON nests too deeply."),
    "byte_order_mark": Sentence("文件以字节顺序标记开头。", "The document starts with a byte-order mark."),
    "not_json": Sentence("不是有效的 JSON。", "It is not valid JSON."),
    "not_an_object": Sentence("JSON 不是对象。", "The JSON is not an object."),
    "duplicate_member": Sentence("JSON 中有重复的成员名。", "A member name occurs twice in the JSON."),
    "integer_too_long": Sentence("JSON 中的整数过长。", "An integer in the JSON is too long."),
    "not_an_integer": Sentence("JSON 中有非整数的数字。", "A number in the JSON is not an integer."),
    "no_receipt": Sentence(
        "没有完整的回执（leaf、open、proof）。", "There is no complete receipt (leaf, open, proof)."
    ),
    "leaf_base64": Sentence("leaf 不是规范的 base64。", "The leaf is not canonical base64."),
    "open_key": Sentence("open 中的密钥名称或格式不正确。", "A key in “open” has a wrong name or form."),
    # leaf
    "leaf_form": Sentence("日志条目的内容不符合格式。", "The log entry does not have the form of an entry."),
    "leaf_not_canonical": Sentence("日志条目不是规范编码。", "The log entry is not canonically encoded."),
    # proof
    "proof_too_long": Sentence("证明过长。", "The proof is too long."),
    "proof_form": Sentence("证明缺少分隔检查点的空行。", "The proof lacks the blank line before the checkpoint."),
    "proof_header": Sentence(
        "证明的首行或版本不正确。", "The first line of the proof names another format or version."
    ),
    "proof_index": Sentence("证明中的索引行不正确。", "The index line of the proof is wrong."),
    "proof_base64": Sentence("证明中有不规范的 base64。", "A line of the proof is not canonical base64."),
    "path_too_long": Sentence("证明路径过长。", "The proof path is longer than the tree allows."),
    "path_too_short": Sentence("证明路径过短。", "The proof path is shorter than the tree needs."),
    "hash_length": Sentence("有一个哈希值长度不是 32 字节。", "A hash does not have 32 bytes."),
    # checkpoint signature
    "note_too_long": Sentence("检查点过长。", "The checkpoint is too long."),
    "not_utf8": Sentence("检查点不是 UTF-8 文本。", "The checkpoint is not UTF-8 text."),
    "control_character": Sentence("检查点含有控制字符。", "The checkpoint holds a control character."),
    "note_form": Sentence("检查点缺少空行或签名行。", "The checkpoint lacks its blank line or its signature lines."),
    "too_many_signatures": Sentence("检查点的签名行过多。", "The checkpoint has too many signature lines."),
    "signature_line": Sentence("有一行签名格式不正确。", "A signature line is malformed."),
    "signature_base64": Sentence("有一行签名不是规范的 base64。", "A signature line is not canonical base64."),
    "signature_length": Sentence("有一个签名长度不正确。", "A signature has a wrong length."),
    "key_name": Sentence("签名行中的密钥名称不允许使用。", "A key name in a signature line is not allowed."),
    "bad_signature": Sentence(
        "受信任密钥的签名验证不通过：检查点被改动或伪造。",
        "The signature of a trusted key does not verify: the checkpoint was changed or forged.",
    ),
    "cosignature_time": Sentence("见证签名的时间无效。", "The time of a cosignature is not valid."),
    "ambiguous_keys": Sentence("信任策略中有无法区分的密钥。", "The policy holds keys that cannot be told apart."),
    "no_known_signature": Sentence("没有信任策略中任何密钥的签名。", "No key of the policy has signed the checkpoint."),
    "no_log_signature": Sentence(
        "信任策略中没有该日志的密钥签过此检查点。",
        "No key that the policy trusts for this log has signed the checkpoint.",
    ),
    "other_log": Sentence("检查点属于另一个日志。", "The checkpoint is of another log than the entry names."),
    "checkpoint_lines": Sentence("检查点的行数不正确。", "The checkpoint does not have the lines it must have."),
    "checkpoint_size": Sentence("检查点的树大小不正确。", "The tree size of the checkpoint is malformed."),
    "checkpoint_root": Sentence("检查点的根哈希不正确。", "The root hash of the checkpoint is malformed."),
    # policy
    "quorum_not_met": Sentence(
        "见证签名的数量未达到信任策略的要求。", "Fewer witnesses have cosigned than the policy asks for."
    ),
    # inclusion
    "index_out_of_range": Sentence("条目索引不小于树的大小。", "The index of the entry is not below the tree size."),
    "size_out_of_range": Sentence("树的大小超出范围。", "The tree size is out of range."),
    "root_mismatch": Sentence(
        "证明路径没有通向已签名的根：条目、索引或路径被改动。",
        "The path does not lead to the signed root: the entry, its index or the path was changed.",
    ),
    # commitments
    "answer_not_committed": Sentence(
        "该条目没有对答复作出承诺，或回执未附打开承诺的密钥。",
        "The entry commits to no answer, or the receipt lacks the key that opens the commitment.",
    ),
    "answer_differs": Sentence(
        "答复与日志记录的不同：内容被改动。", "The answer differs from the one recorded: it was changed."
    ),
    "verification_id_differs": Sentence("答复的编号与日志条目不同。", "The answer's id differs from the log entry's."),
    "subject_differs": Sentence("答复中的主体与日志条目不同。", "The answer's subject differs from the log entry's."),
    # request
    "nothing_expected": Sentence("没有给出可以比对的请求内容。", "Nothing was given to compare the request with."),
    "partner_differs": Sentence("日志条目属于另一个接入方。", "The log entry is of another partner."),
    "request_hash_differs": Sentence("日志条目记录的不是该请求。", "The log entry records another request."),
    "request_not_committed": Sentence(
        "该条目没有对请求内容作出承诺，或回执未附打开承诺的密钥。",
        "The entry does not commit to a request body, or the receipt lacks the key that opens the commitment.",
    ),
    "request_not_json": Sentence(
        "给出的请求内容不是有效的 JSON。", "The request body that was given is not valid JSON."
    ),
    "request_differs": Sentence("请求内容与日志记录的不同。", "The request body differs from the one recorded."),
}

POLICY_FAULTS: Final[Mapping[str, Sentence]] = {
    "policy_too_long": Sentence("信任策略文件过大。", "The policy file is too large."),
    "policy_characters": Sentence(
        "信任策略文件含有控制字符，或末行没有换行。",
        "The policy file holds a control character, or its last line does not end in a newline.",
    ),
    "policy_line": Sentence("第 {line} 行无法识别。", "Line {line} is not a line of a policy."),
    "policy_key": Sentence("第 {line} 行的密钥不可用。", "The key on line {line} cannot be used."),
    "policy_duplicate_key": Sentence("第 {line} 行重复了已有的密钥。", "Line {line} repeats a key."),
    "policy_name_taken": Sentence("第 {line} 行的名称已被使用。", "The name on line {line} is already taken."),
    "policy_name_unknown": Sentence(
        "第 {line} 行的名称尚未定义。", "Line {line} uses a name that is not defined above it."
    ),
    "policy_member_twice": Sentence(
        "第 {line} 行的成员已属于某个组。", "A member on line {line} already belongs to a group."
    ),
    "policy_threshold": Sentence("第 {line} 行的门限不正确。", "The threshold on line {line} is wrong."),
    "policy_second_quorum": Sentence("第 {line} 行是第二个 quorum 行。", "Line {line} is a second quorum line."),
    "policy_too_many_lines": Sentence(
        "第 {line} 行起同类的行过多。", "There are too many lines of one kind at line {line}."
    ),
    "policy_no_quorum_line": Sentence("信任策略缺少 quorum 行。", "The policy has no quorum line."),
    "policy_no_log": Sentence("信任策略没有列出任何日志。", "The policy lists no log."),
    "policy_ambiguous_keys": Sentence(
        "信任策略中有无法区分的密钥。", "The policy holds keys that cannot be told apart."
    ),
}
