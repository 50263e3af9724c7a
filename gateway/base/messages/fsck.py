"""What ``audit fsck`` says of each fault, by its stable code (``gateway.audit.fsck_report``)."""

from __future__ import annotations

from typing import Final

from gateway.base.messages import Sentence

FAULTS: Final[dict[str, Sentence]] = {
    "leaf_hash": Sentence("条目内容与其哈希不符", "the leaf is not what its hash says"),
    "leaf_form": Sentence("条目不是本系统写出的格式", "the leaf is not of the form that a gateway writes"),
    "log_origin": Sentence(
        "日志行所记名称不是本机设置的日志名称", "the row of the log does not say the origin that this host is set to"
    ),
    "leaf_log": Sentence("条目属于另一个日志", "the leaf names another log"),
    "index_gap": Sentence("从此序号起缺少条目", "a leaf is missing at this index"),
    "entry_repeated": Sentence("同一序号有两个条目", "there are two entries of this index"),
    "entry_stray": Sentence("条目序号超出日志范围", "there is an entry for a leaf that the log does not have"),
    "tile_missing": Sentence("缺少完整切片", "a full tile is missing"),
    "tile_hashes": Sentence("切片中的哈希与条目不符", "the hashes of the tile do not follow from the leaves"),
    "tile_root": Sentence("切片的根与条目不符", "the root of the tile does not follow from the leaves"),
    "tile_beyond_head": Sentence("切片超出日志范围", "there is a tile beyond the head"),
    "batch_root": Sentence("批次的根与条目不符", "the root of the batch does not follow from the leaves"),
    "batch_chain": Sentence("批次与前一批次不相接", "the batch does not follow the one before it"),
    "batch_mac": Sentence(
        "批次没有本日志主机的认证码:可能由他人写入,或其前的批次已被删除",
        "the batch has no valid MAC of a host: somebody else wrote it, or a batch before it was removed",
    ),
    "batch_time": Sentence(
        "批次时间倒退,或与其条目不符", "the time of the batch goes back, or is not that of its entries"
    ),
    "batch_beyond_head": Sentence("批次超出日志范围", "there is a batch beyond the head"),
    "head_size": Sentence("日志头的大小与条目不符", "the size of the head does not follow from the leaves"),
    "head_root": Sentence("日志头的根与条目不符", "the root of the head does not follow from the leaves"),
    "head_frontier": Sentence("日志头的前沿与条目不符", "the frontier of the head does not follow from the leaves"),
    "head_time": Sentence("日志头的时间不是最后批次的时间", "the time of the head is not that of the last batch"),
    "head_not_a_batch": Sentence("日志头不是最后一个批次", "the head is not the last batch"),
    "entry_kind": Sentence("类别列与条目不符", "the column of the kind does not follow from the leaf"),
    "entry_partner": Sentence("机构列与条目不符", "the column of the partner does not follow from the leaf"),
    "entry_operation": Sentence("操作列与条目不符", "the column of the operation does not follow from the leaf"),
    "entry_purpose": Sentence("用途列与条目不符", "the column of the purpose does not follow from the leaf"),
    "entry_decision": Sentence("结果列与条目不符", "the column of the decision does not follow from the leaf"),
    "entry_subject": Sentence("主体索引列与条目不符", "the column of the blind index does not follow from the leaf"),
    "entry_verification": Sentence(
        "核验编号列与条目不符", "the column of the verification does not follow from the leaf"
    ),
    "entry_time": Sentence(
        "条目时间不是其批次的时间,或与条目所述相差一小时以上",
        "the time of the entry is not that of its batch, or more than an hour from what the leaf says",
    ),
    "secret_missing": Sentence(
        "密文缺失,且没有删除记录", "the secret is missing, and no erasure on record explains it"
    ),
    "secret_changed": Sentence(
        "盐值、密钥编号或密文被改动", "salt, key number or sealed text was changed or exchanged"
    ),
    "secret_commitment": Sentence("密文内容不是条目所承诺的内容", "the sealed text is not what the leaf commits to"),
    "secret_not_erased": Sentence("已记录删除,但密文仍在", "an erasure is on record, but the secret is there"),
    "secret_stray": Sentence("多出的密文", "there is a secret too many"),
    "erasure_unreadable": Sentence("删除记录无法读出", "what this erasure removed cannot be read"),
    "sealing_key": Sentence(
        "以此编号的密钥封存的密文均无法打开:本机密钥不同,或全部被改动(可用 --shallow 略过)",
        "nothing sealed under this key number opens: this host has another key, or all was changed (--shallow leaves it out)",
    ),
    "request_missing": Sentence(
        "条目的一次性编号缺失,该请求可能被重放", "the one-time id of the leaf is missing: its request could be replayed"
    ),
    "request_extra": Sentence("一次性编号没有对应条目", "there is a one-time id that no leaf names"),
    "request_repeated": Sentence("同一个一次性编号记在两天", "the one-time id stands under two days"),
    "request_day": Sentence("条目的一次性编号记在别的日期", "the one-time id of the leaf stands under a wrong day"),
    "request_partition": Sentence(
        "这一天的一次性编号分区缺失,当天的请求可能被重放",
        "the partition of this day's one-time ids is missing: its requests could be replayed",
    ),
    "request_twice": Sentence("同一个一次性编号被接受了两次", "the one-time id of the leaf had been accepted before"),
    "idempotency_leaf": Sentence(
        "幂等键所指的核验不是该机构此时此操作的条目",
        "the idempotency key names no verification of this partner, operation and time",
    ),
    "idempotency_body": Sentence(
        "幂等键的请求内容与所指核验不符", "the idempotency key has another body than the verification it names"
    ),
    "key_unregistered": Sentence("密钥没有登记条目", "no leaf registered this key"),
    "key_row": Sentence("密钥行与其登记或停用条目不符", "the row of the key does not follow from its leaves"),
    "key_missing": Sentence("已登记的密钥缺失", "a key that a leaf registered is missing"),
    "partner_unregistered": Sentence("机构没有登记条目", "no leaf brought this partner on"),
    "partner_row": Sentence("机构行与其登记条目不符", "the row of the partner does not follow from its leaf"),
    "partner_missing": Sentence("已登记的机构缺失", "a partner that a leaf brought on is missing"),
    "credential_unregistered": Sentence(
        "条目所用的密钥在此之前没有登记", "no earlier leaf registered the key that was used"
    ),
    "credential_revoked": Sentence("条目所用的密钥在此之前已停用", "an earlier leaf had ended the key that was used"),
    "act_unreadable": Sentence("机构或密钥变更的内容无法读出", "what this act on a partner or key said cannot be read"),
    "safeguard_changed": Sentence(
        "数据库的函数、触发器或约束被改动", "a function, trigger or constraint of the database was changed"
    ),
    "safeguard_missing": Sentence(
        "数据库的函数、触发器或约束缺失", "a function, trigger or constraint of the database is missing"
    ),
    "safeguard_unknown": Sentence(
        "数据库中有程序未带的函数、触发器、约束或规则,或有移到别处的分区、不写日志(UNLOGGED)的表",
        "the database has a function, trigger, constraint or rule that was not shipped, a partition elsewhere, or an unlogged table",
    ),
    "triggers_off": Sentence("触发器被关闭", "the trigger is off"),
    "checkpoint_contradicted": Sentence(
        "留存的签名检查点与日志矛盾:日志已分叉", "the log contradicts a signed checkpoint that was kept: it has forked"
    ),
    "checkpoint_beyond_head": Sentence(
        "留存的签名检查点比日志更长:日志被截短",
        "a signed checkpoint that was kept is of a longer log: this one was cut",
    ),
}
