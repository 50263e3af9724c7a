"""What the command line says of the log and this host: agreement, doubts, and what an operator does about them.

For: ``credit-gateway log`` and refusals over a doubt, by way of ``messages.cli``. Not for: log lines.
"""

from __future__ import annotations

from typing import Final

from gateway.base.messages import Sentence

LOG: Final[dict[str, Sentence]] = {
    "log_standing": Sentence(
        "{log}:本机已签署至 {signed} 条,数据库现有 {head} 条。",
        "{log}: this host has signed {signed} leaves, the database has {head}.",
    ),
    "log_agrees": Sentence("✔ 数据库与本机所签一致。", "✔ The database agrees with what this host has signed."),
    "log_agrees_again": Sentence(
        "现在已一致。若原因已查明,请执行:credit-gateway log resolve --by 姓名 --reason 事由",
        "It agrees now. If the cause is known and gone: credit-gateway log resolve --by NAME --reason WHY",
    ),
    "log_joined": Sentence(
        "本机开始守护该日志。审计日志序号 {leaf}。", "This host guards the log from now on. Audit leaf {leaf}."
    ),
    "log_resolved": Sentence(
        "疑点已消除,继续签署。审计日志序号 {leaf}。", "The doubt is resolved; signing goes on. Audit leaf {leaf}."
    ),
    "log_succeeded": Sentence(
        "后继日志 {origin}(编号 {log_id})已启用,首个条目序号 {leaf},旧日志已关闭。接下来:\n"
        "  1. 每台主机设置 GATEWAY_LOG_ID={log_id} GATEWAY_LOG_ORIGIN={origin},再启动;其余主机先执行 credit-gateway log join\n"
        "  2. 将 credit-gateway log-policy 的输出连同旧策略一并交给机构与监管方",
        "The successor log {origin} (number {log_id}) is open, its first leaf is {leaf}; the old log is closed. Next:\n"
        "  1. set GATEWAY_LOG_ID={log_id} GATEWAY_LOG_ORIGIN={origin} on every host and start; other hosts first: credit-gateway log join\n"
        "  2. give the output of credit-gateway log-policy to partners and regulators, beside the old policy",
    ),
    "log_rolled_back": Sentence(
        "✘ 数据库中的日志比本机已签署的短:可能恢复了旧备份,或条目被删。已停止签署。请恢复正确的数据库后执行 log resolve;"
        "无法恢复时执行 log succeed(见 docs/successor-log.md)。",
        "✘ The log in the database is shorter than what this host has signed: an old backup, or leaves were taken away. Signing has "
        "stopped. Bring the right database back, then log resolve; if it is lost, log succeed (docs/successor-log.md).",
    ),
    "log_forked": Sentence(
        "✘ 数据库中的日志与本机已签署的不是同一历史。已停止签署。请恢复正确的数据库后执行 log resolve;"
        "无法恢复时执行 log succeed(见 docs/successor-log.md)。",
        "✘ The log in the database is another history than this host has signed. Signing has stopped. Bring the right database back, "
        "then log resolve; if it is lost, log succeed (docs/successor-log.md).",
    ),
    "log_unauthenticated": Sentence(
        "✘ 日志末尾的批次不是任何一台网关主机写入的(校验码缺失或不符)。已停止签署。请查明来源,见 docs/successor-log.md。",
        "✘ The last batch of the log was appended by no gateway host (its MAC is missing or wrong). Signing has stopped. Find out where "
        "it came from; see docs/successor-log.md.",
    ),
    "log_contradicts_head": Sentence(
        "✘ 数据库中保存的散列与日志头不符。已停止签署。请运行 credit-gateway audit fsck。",
        "✘ Stored hashes contradict the head of the log. Signing has stopped. Run credit-gateway audit fsck.",
    ),
    "guard_missing": Sentence(
        "✘ 日志已有条目,但本机没有签署记录(新主机,或守护目录丢失)。请执行 credit-gateway log join --against 检查点 --policy 策略。",
        "✘ The log has leaves, but this host has no record of what it signed (a new host, or the guard's folder is lost): "
        "credit-gateway log join --against CHECKPOINT --policy POLICY.",
    ),
    "guard_unusable": Sentence(
        "✘ 守护文件无法读写,或属于另一日志。请检查 GATEWAY_GUARD_DIR 及其权限。",
        "✘ The guard file cannot be read or written, or is another log's. Look at GATEWAY_GUARD_DIR and its rights.",
    ),
    "log_closed": Sentence(
        "✘ 该日志已关闭,由后继日志接替。请检查 GATEWAY_LOG_ID 与 GATEWAY_LOG_ORIGIN。",
        "✘ This log is closed; a successor has taken its place. Look at GATEWAY_LOG_ID and GATEWAY_LOG_ORIGIN.",
    ),
    "guard_exists": Sentence("本机已在守护该日志。", "This host guards the log already."),
    "no_doubt": Sentence("没有需要消除的疑点。", "There is no doubt to resolve."),
    "gateway_running": Sentence(
        "仍有网关进程连接着数据库;请先停止所有主机上的网关。",
        "Gateways are still connected to the database: stop them on every host first.",
    ),
    "successor_open": Sentence("后继日志已有条目。", "The successor log has leaves already."),
    "needs_owner": Sentence(
        "需要数据库结构所有者的权限:请像 migrate 一样,用 GATEWAY_DATABASE_DSN 指定其连接串。",
        "It needs the rights of the schema's owner: name its DSN in GATEWAY_DATABASE_DSN, as for migrate.",
    ),
    "log_join_choice": Sentence(
        "请给出 --against 与 --policy,或只给 --trust-database。",
        "Give --against with --policy, or --trust-database alone.",
    ),
    "log_origin_malformed": Sentence("{origin} 不能作为日志名称。", "{origin} cannot be the name of a log."),
    "words_malformed": Sentence(
        "经办人与事由须为 1 至 {most} 个可打印字符。", "Who and why are 1 to {most} printable characters each."
    ),
    "checkpoint_refused": Sentence(
        "✘ 不能采信检查点 {file}:{why}", "✘ The checkpoint {file} cannot be relied on: {why}"
    ),
}
