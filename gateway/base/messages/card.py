"""What is said of an answer when a person looks at it: the headings and words of its card.

For: ``gateway.cli.card``, by way of ``messages.cli``.
"""

from __future__ import annotations

from typing import Final

from gateway.base.messages import Sentence

CARD: Final[dict[str, Sentence]] = {
    "outcome": Sentence("结论", "outcome"),
    "subject": Sentence("主体", "subject"),
    "flags": Sentence("限制信息", "flags"),
    "measures": Sentence("措施", "measures"),
    "basis": Sentence("依据", "basis"),
    "authority": Sentence("认定机关", "authority"),
    "document": Sentence("文书号", "document"),
    "from": Sentence("起始", "from"),
    "until": Sentence("期限", "until"),
    "repair": Sentence("修复途径", "repair"),
    "earliest": Sentence("最早", "not before"),
    "unverified_row": Sentence("待核目录行", "unverified"),
    "reasons": Sentence("说明", "notes"),
    "candidates": Sentence("同名候选", "candidates"),
    "as_of": Sentence("数据时点", "as of"),
    "catalogue": Sentence("目录", "catalogue"),
    "receipt": Sentence("回执", "receipt"),
    "receipt_checked": Sentence("✔ 已离线核验:{log} 第 {index} 条", "✔ checked offline: leaf {index} of {log}"),
    "outcome_clear": Sentence("✔ 无失信限制", "✔ clear"),
    "outcome_restricted": Sentence("✘ 有失信限制", "✘ restricted"),
    "outcome_partial": Sentence("⚠ 信息不完整,不能认定无失信限制", "⚠ partial: cannot be called clear"),
    "outcome_unknown_subject": Sentence("? 登记信息中没有该主体", "? unknown subject"),
    "outcome_unavailable": Sentence("⚠ 数据过期或不可用,暂无结论", "⚠ unavailable: no verdict"),
    "in_force": Sentence("生效中", "in force"),
    "observation": Sentence("观察期", "under observation"),
    "under_objection": Sentence("异议处理中", "under objection"),
}
