"""What an answer says about itself, by reason code, in Chinese and English.

For: the ``reasons`` of an answer, which carries both languages because it is evidence and outlives the request.
"""

from __future__ import annotations

from typing import Final

from gateway.base.messages import Sentence

REASONS: Final[dict[str, Sentence]] = {
    "nothing_in_force": Sentence(
        "所查来源均已答复,当前无生效的失信限制信息。", "Every source asked answered; nothing is in force."
    ),
    "flags_in_force": Sentence("有 {count} 条信息生效。", "{count} item(s) in force."),
    "no_source": Sentence(
        "尚未取得市信用信息共享平台的数据,无法作答。",
        "No data of the municipal platform has been received yet; no answer is possible.",
    ),
    "stale_source": Sentence(
        "数据已超过允许的时限,不能据以作答。", "The data are older than allowed; no answer can rest on them."
    ),
    "source_from_the_future": Sentence(
        "数据所标时间晚于当前时间,不能据以作答。",
        "The data bear a time that is yet to come; no answer can rest on them.",
    ),
    "source_doubted": Sentence(
        "本机所存数据与市平台签发的数据不一致,在核对修复之前不能据以作答。",
        "The stored data contradict what the municipal platform signed; no answer can rest on them until that is mended.",
    ),
    "records_unreadable": Sentence(
        "该主体有 {count} 条记录无法读取,本答复不完整,不得视为无记录。",
        "{count} record(s) of this subject could not be read; this answer is incomplete and must not be taken for clear.",
    ),
    "record_not_interpretable": Sentence(
        "该主体有一条记录的名单代码 {code} 不在当日目录中,本答复不完整,不得视为无记录。",
        "A record of this subject names list {code}, which the catalogue of the day does not hold for it; this answer is "
        "incomplete and must not be taken for clear.",
    ),
    "not_registered": Sentence(
        "登记信息中没有该统一社会信用代码。不等于无失信记录。",
        "No registration is known under this code. This does not mean that nothing is known against it.",
    ),
    "name_only": Sentence(
        "仅凭名称不作判断,只列出候选主体;请以统一社会信用代码查询。",
        "A name alone decides nothing; candidates are listed. Ask again with the unified social credit code.",
    ),
    "no_candidates": Sentence("没有以该名称开头的登记主体。", "No registered subject has a name that begins so."),
    "name_mismatch": Sentence(
        "所填名称与该代码的登记名称不一致。", "The name given is not the one registered under this code."
    ),
    "status_dormant": Sentence("该主体登记状态为歇业。", "The register says: dormant."),
    "status_revoked": Sentence("该主体已被吊销营业执照。", "The register says: business licence revoked."),
    "status_deregistered": Sentence("该主体已注销。", "The register says: deregistered."),
    "status_cancelled": Sentence("该主体的登记已被撤销。", "The register says: registration cancelled."),
    "status_moved_out": Sentence("该主体已迁出本市登记机关。", "The register says: moved to another registrar."),
    "unverified_rows": Sentence(
        "本答复依据的目录中有尚未核对原文的条目,见各项的 unverified。",
        "This answer rests on catalogue rows not yet checked against the original; see unverified in each item.",
    ),
    "unknown_penalty_type": Sentence(
        "处罚类别“{kind}”不在目录中,按其他行政处罚处理。",
        "Kind of penalty “{kind}” is not in the catalogue; treated as other penalty.",
    ),
    "no_publication_rule": Sentence(
        "查询日没有适用的公示期限规则,该信息仍予展示。",
        "No publication rule fits on the day asked about; the item is still shown.",
    ),
    "organisation_code_check": Sentence(
        "代码中的组织机构代码校验不符,请核对。", "The organisation code inside the code does not check; please verify."
    ),
    "unknown_category": Sentence(
        "代码的登记管理部门与机构类别组合不在国家标准表中,请核对。",
        "The department and category of the code are not in the standard's table; please verify.",
    ),
    "withdrawn_division": Sentence(
        "代码中的行政区划已撤销(首次登记地,属正常)。",
        "The division in the code no longer exists (it is that of first registration).",
    ),
}

LINKED_PERSON: Final = Sentence(
    "该信息是对该主体{role}个人的列入,不是对该主体的列入,不得据此限制该主体。",
    "This entry lists a person, the subject's {role}; the subject itself is not listed and must not be restricted for it.",
)
ROLES: Final = {
    "legal_representative": Sentence("法定代表人", "legal representative"),
    "responsible_person": Sentence("负责人", "responsible person"),
}
PENALTY_END: Final = Sentence("至处罚机关停止公示为止", "until the authority ends publication")
