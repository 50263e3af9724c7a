"""What the OpenAPI document says of operations, groups of operations and words, in Chinese and English.

For: ``gateway.api.openapi``. Keys are operation ids, tags, and the names and values of enumerations; tests compare them with the code.
Not for: problem codes, whose meanings are those of ``messages.problems``.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from gateway.base.messages import Sentence
from gateway.base.messages.credit import ROLES


class OperationText(NamedTuple):
    """What is said of one operation: a heading, and what it promises."""

    summary: Sentence
    description: Sentence


INFO: Final = OperationText(
    Sentence(
        "经核验的商户信用答复,附任何人可核对的回执",
        "Verified answers about merchants, with receipts that anyone can check",
    ),
    Sentence(
        "信用信息查询网关。拒绝均为问题文档(RFC 9457),`code` 稳定,`errors` 逐条列出,语句为中文或按 `Accept-Language` 为英文,"
        "`type` 可访问。时间均为 RFC 3339。",
        "Refusals are problem documents (RFC 9457) with a stable `code`, every fault in `errors`, and sentences in Chinese or, by"
        " `Accept-Language`, English. The `type` of each resolves. Times are RFC 3339.",
    ),
)
CONTACT: Final = Sentence("本网关运营方", "the operator of this gateway")
DPOP: Final = Sentence(
    "RFC 9449:`/oauth2/token` 签发的令牌(client_credentials、private_key_jwt),每个请求另在 `DPoP` 头中附新的持有证明。",
    "RFC 9449: an access token of `/oauth2/token` (client credentials, private_key_jwt), with a fresh proof in the `DPoP` header"
    " field of every request.",
)

TAGS: Final[dict[str, Sentence]] = {
    "verifications": Sentence(
        "查询与再次读取。须持绑定密钥的令牌,只能读取本机构的答复。",
        "Asking, and reading again. Needs a key-bound token; a partner reads its own answers only.",
    ),
    "oauth": Sentence(
        "申请令牌,以及客户端据以配置的公开文档。",
        "Getting a token, and the public documents by which clients configure themselves.",
    ),
    "log": Sentence(
        "审计日志的公开部分,任何人可据以核对回执、监督日志只增不改。",
        "The public face of the audit log: what anyone needs to check receipts and to watch that the log only grows.",
    ),
    "service": Sentence("服务自身的公开信息。", "What anyone may know about the service itself."),
    "docs": Sentence("错误码的说明。", "The pages that explain each error code."),
}

OPERATIONS: Final[dict[str, OperationText]] = {
    "verify": OperationText(
        Sentence("查询一个商户或参与方", "Verify one merchant or participant"),
        Sentence(
            "答复发出之前,其记录已写入只增不改的审计日志。答复列明生效的失信限制信息,每条附依据、期限与修复途径,"
            "并附可离线核对的回执。数据过旧、不全或无法读取时绝不答 `clear`。仅给名称时只返回候选。"
            "回执对其余全部成员的 RFC 8785 形式作出承诺,请按收到的字节保存。结果不明时,以同一 Idempotency-Key"
            " 与新的证明重试是安全的。",
            "The answer is on record in an append-only log before it leaves. It lists the dishonesty restrictions in"
            " force, each with its basis, period and way to repair, and carries a receipt that can be checked"
            " offline. Data that is too old, incomplete or unreadable never becomes `clear`. A name alone gives"
            " candidates. The receipt commits to the RFC 8785 form of all other members: keep the bytes as received."
            " When the outcome is unknown it is safe to retry with the same Idempotency-Key and a fresh proof.",
        ),
    ),
    "readVerification": OperationText(
        Sentence("再次读取答复", "Read an answer again"),
        Sentence(
            "返回当时的答复,含回执。不属于本机构或不存在的编号答复相同(404)。每次读取也有记录。",
            "Gives the answer as it was given, with its receipt. An identifier that does not exist and one of"
            " another partner get the same 404. Each reading is on record, too.",
        ),
    ),
    "readReceipt": OperationText(
        Sentence("读取回执", "Read the receipt"),
        Sentence(
            "只返回回执,供只需证明而不需内容的一方核对。",
            "Gives the receipt alone, for whoever needs the proof and not the content.",
        ),
    ),
    "token": OperationText(
        Sentence("申请令牌", "Get a token"),
        Sentence(
            "client_credentials 授权,客户端以 private_key_jwt 认证(RFC 7523),令牌绑定于证明所用的密钥(RFC 9449)。"
            "断言与证明各只能使用一次。要求 nonce 时答复 `use_dpop_nonce` 并附 `DPoP-Nonce`,"
            "请以新的断言与证明再次申请。错误为 RFC 6749 第 5.2 节的形式。",
            "The client credentials grant. The client authenticates with private_key_jwt (RFC 7523); the token is"
            " bound to the key of the proof (RFC 9449). Assertion and proof are good for one use each. Where a nonce"
            " is needed the answer is `use_dpop_nonce` with a `DPoP-Nonce`: ask again with a fresh assertion and"
            " proof. Errors have the form of RFC 6749 section 5.2.",
        ),
    ),
    "jwks": OperationText(
        Sentence("网关公钥", "Our public keys"),
        Sentence(
            "签发令牌所用的公钥(RFC 7517)。机构不需要它:令牌只由网关读取。",
            "The public keys that access tokens are signed with (RFC 7517). Partners do not need them: tokens are"
            " for the gateway alone to read.",
        ),
    ),
    "metadata": OperationText(
        Sentence("授权服务器元数据", "Authorization server metadata"),
        Sentence(
            "RFC 8414:签发者、令牌端点、支持的认证方式与算法。",
            "RFC 8414: issuer, token endpoint, and the ways of authentication and algorithms that are supported.",
        ),
    ),
    "checkpoint": OperationText(
        Sentence("签名检查点", "Signed checkpoint"),
        Sentence(
            "日志当前的大小与根,已签名(c2sp.org/tlog-checkpoint)。保存它,日后即可用一致性证明核对日志未被改写。",
            "The present size and root of the log, signed (c2sp.org/tlog-checkpoint). Whoever keeps it can later"
            " demand a consistency proof and see whether the log was rewritten.",
        ),
    ),
    "tile": OperationText(
        Sentence("哈希块", "Tile"),
        Sentence(
            "一段树节点哈希,每个 32 字节(c2sp.org/tlog-tiles),完整的块永不改变。`path` 含斜线,须原样发送:OpenAPI 无法表达含斜线的参数,"
            "把斜线编码为 %2F 的生成客户端会得到 404。",
            "A run of hashes of the tree, 32 bytes each (c2sp.org/tlog-tiles); a full tile never changes. `path`"
            " contains slashes, to be sent as they are: OpenAPI cannot express such a parameter, and a generated"
            " client that writes them as %2F gets 404.",
        ),
    ),
    "inclusionProof": OperationText(
        Sentence("包含证明", "Inclusion proof"),
        Sentence(
            "证明条目 `index` 在大小为 `size` 的树中(c2sp.org/tlog-proof@v1);缺省为当前大小。",
            "Proves that leaf `index` is in the tree of `size` leaves (c2sp.org/tlog-proof@v1); the present size if none is given.",
        ),
    ),
    "consistencyProof": OperationText(
        Sentence("一致性证明", "Consistency proof"),
        Sentence(
            "证明 `from` 个条目的树是 `to` 个条目的树的前缀(RFC 9162 第 2.1.4 节)。",
            "Proves that the tree of `from` leaves is a prefix of the tree of `to` leaves (RFC 9162 section 2.1.4).",
        ),
    ),
    "pointer": OperationText(
        Sentence("入口", "Where to begin"),
        Sentence("列出本服务各项说明的地址。", "Names the addresses of the documents that describe this service."),
    ),
    "status": OperationText(
        Sentence("数据新鲜度", "How fresh the source is"),
        Sentence(
            "答复所依据的市级数据的版本与时点;过旧(`stale`)时一切答复为 `unavailable`。",
            "Version and time of the municipal data that answers rest on; while it is `stale` every answer is `unavailable`.",
        ),
    ),
    "openapi": OperationText(
        Sentence("本文档", "This document"),
        Sentence("由校验请求的同一组类型生成。", "Made from the very types that validate requests."),
    ),
    "errorPages": OperationText(
        Sentence("错误码列表", "All error codes"),
        Sentence(
            "问题文档中出现的全部 `code`;浏览器得到 HTML。",
            "Every `code` that a problem document may bear; browsers get HTML.",
        ),
    ),
    "errorPage": OperationText(
        Sentence("错误码说明", "One error code"),
        Sentence(
            "一个 `code` 的含义、建议与可否原样重试;问题文档的 `type` 指向此处。",
            "What one `code` means, what to do, and whether the same request may be retried. The `type` of a problem"
            " document leads here.",
        ),
    ),
}

WORDS_OF: Final[dict[str, dict[str, Sentence]]] = {
    "Purpose": {
        "onboarding": Sentence("入驻审核", "before a merchant is taken on"),
        "periodic_review": Sentence("定期复核", "a review at regular intervals"),
        "risk": Sentence("风险处置", "handling a concrete risk"),
        "complaint": Sentence("投诉处理", "handling a complaint"),
    },
    "Relation": {
        "signed_merchant": Sentence("已签约商户", "has a contract with the partner"),
        "other_participant": Sentence("其他参与方", "takes part in another way, such as a carrier or a consignee"),
    },
    "Outcome": {
        "clear": Sentence("所查来源均已答复,无生效信息", "every source asked answered, and nothing is in force"),
        "restricted": Sentence("有生效的失信限制信息", "at least one flag is listed"),
        "partial": Sentence(
            "有记录无法读取,不得视为无记录", "a record could not be read or interpreted; not to be taken for clear"
        ),
        "unknown_subject": Sentence(
            "登记信息中没有该主体", "the register does not know the subject; not to be taken for clear"
        ),
        "unavailable": Sentence(
            "数据缺失或过旧,无法作答", "no answer is possible: the data is missing, too old or from the future"
        ),
    },
    "RegistrationStatus": {
        "active": Sentence("存续", "in existence"),
        "dormant": Sentence("歇业", "dormant"),
        "revoked": Sentence("吊销", "its business licence was revoked"),
        "deregistered": Sentence("注销", "deregistered of its own accord"),
        "cancelled": Sentence("撤销登记", "its registration was cancelled by the registrar"),
        "moved_out": Sentence("迁出", "moved to another registrar"),
    },
    "Tier": {
        "minor": Sentence("轻微", "minor"),
        "general": Sentence("一般", "general"),
        "serious": Sentence("严重", "serious"),
    },
    "State": {
        "in_force": Sentence("生效", "in force; visible"),
        "observation": Sentence("观察期", "in force, under observation; visible"),
        "under_objection": Sentence("异议处理中", "in force, an objection is being examined; visible"),
        "received": Sentence("已收到,尚未生效", "received, not yet in force; never in an answer"),
        "not_published": Sentence("依规不公示", "not to be published by rule; never in an answer"),
        "shielded": Sentence("暂停公示", "publication is suspended; never in an answer"),
        "repaired": Sentence("已修复", "repaired; never in an answer"),
        "expired": Sentence("已到期", "its period is over; never in an answer"),
        "revoked": Sentence("已撤销", "the decision was revoked; never in an answer"),
        "corrected": Sentence("已更正", "was wrong and is corrected; never in an answer"),
        "unreadable": Sentence("无法解读", "not interpretable; makes the answer `partial` instead of being listed"),
    },
    "EnforcedBy": {
        "authority": Sentence("由主管机关执行", "its authority enforces it"),
        "self_decided": Sentence("由使用方自行决定", "each consumer decides for itself"),
    },
    "Confidence": {
        "text": Sentence("依据规范原文", "from the text of the rule itself"),
        "secondary": Sentence("依据二手来源", "from a secondary source"),
        "unverified": Sentence("尚待核实", "still to be checked; said in every answer that rests on it"),
    },
    "PersonRole": ROLES,
}
"""For each enumeration of the document, what its values mean."""
