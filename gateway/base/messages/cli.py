"""What the command line says: headings, results and refusals, by stable code; with the tables of its subjects, every word it has.

For: ``gateway.terminal`` and ``gateway.cli``. Not for: help (``messages.help``).
"""

from __future__ import annotations

from typing import Final

from gateway.base.messages import Sentence
from gateway.base.messages.card import CARD
from gateway.base.messages.database import DATABASE
from gateway.base.messages.demo import DEMO
from gateway.base.messages.log import LOG

OWN: Final[dict[str, Sentence]] = {
    # Headings
    "client": Sentence("客户端", "client"),
    "name": Sentence("名称", "name"),
    "sector": Sentence("类型", "sector"),
    "state": Sentence("状态", "state"),
    "live_keys": Sentence("可用密钥", "live keys"),
    "purposes": Sentence("用途", "purposes"),
    "kid": Sentence("密钥名", "kid"),
    "alg": Sentence("算法", "alg"),
    "thumbprint": Sentence("指纹", "thumbprint"),
    "not_before": Sentence("生效", "active from"),
    "ended": Sentence("停用", "ended"),
    "index": Sentence("序号", "index"),
    "time": Sentence("时间", "time"),
    "kind": Sentence("类别", "kind"),
    "partner": Sentence("机构", "partner"),
    "operation": Sentence("操作", "operation"),
    "decision": Sentence("结果", "decision"),
    "verification": Sentence("核验编号", "verification"),
    "version": Sentence("版本", "version"),
    "result": Sentence("结果", "result"),
    "reason": Sentence("原因", "reason"),
    "records": Sentence("记录数", "records"),
    "quarantined": Sentence("隔离", "quarantined"),
    "setting": Sentence("设置项", "setting"),
    "value": Sentence("取值", "value"),
    "source": Sentence("来源", "source"),
    "meaning": Sentence("说明", "meaning"),
    "default": Sentence("缺省", "default"),
    # Results
    "partner_added": Sentence(
        "已登记 {client}({partner})。审计日志序号 {leaf}。", "Added {client} ({partner}). Audit leaf {leaf}."
    ),
    "key_added": Sentence(
        "已登记密钥 {kid}({alg}),指纹 {thumbprint}。审计日志序号 {leaf}。",
        "Registered key {kid} ({alg}), thumbprint {thumbprint}. Audit leaf {leaf}.",
    ),
    "key_revoked": Sentence(
        "密钥 {thumbprint} 现为 {state},不再被接受。审计日志序号 {leaf}。",
        "Key {thumbprint} is now {state} and accepted no more. Audit leaf {leaf}.",
    ),
    "key_generated": Sentence(
        "已生成私钥 {private}(仅本人可读)与公钥 {public}。登记命令:\n  credit-gateway key add 客户端 --jwk {public}",
        "Wrote private key {private} (readable by you alone) and public key {public}. Register it with:\n"
        "  credit-gateway key add CLIENT --jwk {public}",
    ),
    "host_keys_made": Sentence("已生成 {file}", "made {file}"),
    "host_keys_kept": Sentence("密钥均已存在,未做改动。", "All key files exist already; nothing was changed."),
    "migrated": Sentence("数据库结构:{before} → {after}", "schema: {before} → {after}"),
    "migrated_already": Sentence("数据库结构已是最新({after})。", "The schema is up to date ({after})."),
    "log_open": Sentence("审计日志 {log_id} 已启用:{origin}", "Audit log {log_id} is open: {origin}"),
    "config_ok": Sentence("设置、密钥及所信任的文件均无误。", "Settings, keys and trusted files are fine."),
    "database_ok": Sentence("数据库满足要求。", "The database is fit."),
    "feed_current": Sentence("已是最新版本。", "The newest version is applied already."),
    "feed_behind": Sentence("已应用:{versions};仍有更新的版本。", "Applied: {versions}; there are newer ones."),
    "feed_applied": Sentence("已应用版本 {versions}。", "Applied version {versions}."),
    "feed_refused": Sentence(
        "版本 {version} 被拒绝:{reason}。仍以上一个正确版本答复。",
        "Version {version} was refused: {reason}. Answers still come from the last good one.",
    ),
    "feed_approve": Sentence(
        "若经市平台核实删除属实,请执行:credit-gateway feed pull --approve {version}",
        "If the platform confirms that the deletions are right: credit-gateway feed pull --approve {version}",
    ),
    "feed_unreachable": Sentence("无法连接市平台:{reason}。", "The municipal platform cannot be reached: {reason}."),
    "feed_busy": Sentence("同步进程正在应用新版本。", "The feed process is applying a version right now."),
    "feed_store_failed": Sentence("数据库未能完成:{reason}。", "The database did not complete it: {reason}."),
    "feed_never": Sentence("尚未应用过任何版本。", "No version has been applied yet."),
    "feed_state": Sentence(
        "{feed} 版本 {version},数据时点 {as_of},{records} 条记录,{quarantined} 条隔离。",
        "{feed} version {version}, as of {as_of}, {records} records, {quarantined} quarantined.",
    ),
    "feed_verified": Sentence(
        "✔ 数据库内容与市平台签发的数据一致:版本 {version},已核对 {rows} 行。",
        "✔ The replica is what the platform signed: version {version}, {rows} rows compared.",
    ),
    "feed_unproven": Sentence(
        "? 无法核对:本机没有版本 {version} 的摘要(现有:{digests})。同步进程会从已签发文件补齐。",
        "? Not known: this host keeps no digests of version {version} (it has: {digests}). The feed process makes them from the "
        "signed files.",
    ),
    "feed_differs": Sentence(
        "✘ 数据库内容与市平台签发的数据不一致({count} 处)。本机已停止据此作答;修复:credit-gateway feed pull --reload",
        "✘ The replica contradicts what the platform signed ({count} times). This host answers nothing from it until it is mended: "
        "credit-gateway feed pull --reload",
    ),
    "feed_doubt_stands": Sentence(
        "✘ 此前发现的不一致尚未由 feed pull --reload 消除,本机仍不据此作答。",
        "✘ A difference found earlier has not been resolved by feed pull --reload; this host still answers nothing.",
    ),
    "feed_more": Sentence("另有 {count} 处未列出。", "{count} more are not listed."),
    "feed_progress": Sentence("已核对 {rows} 行", "{rows} rows compared"),
    "difference": Sentence("差异", "difference"),
    "part": Sentence("类别", "part"),
    "key": Sentence("记录编号", "record"),
    "fsck_clean": Sentence(
        "✔ 日志完好:{leaves} 个条目、{batches} 个批次、{tiles} 个完整切片均由条目重新推导一致,"
        "{secrets} 份密文已打开核对,{requests} 个一次性编号已核对。根 {root}",
        "✔ The log is sound: {leaves} leaves, {batches} batches, {tiles} full tiles re-derived, "
        "{secrets} secrets opened, {requests} one-time ids compared. Root {root}",
    ),
    "fsck_unopened": Sentence(
        "  {unopened} 份密文未打开,未能核对。", "  {unopened} secrets were not opened and could not be checked."
    ),
    "fsck_unguarded": Sentence(
        "  本机没有可读的日志守卫文件,未能与本机签署过的内容比对。",
        "  This host has no guard of the log that can be read: the log was not compared with what this host has signed.",
    ),
    "fsck_fault": Sentence("✘ {fault} {where}:{meaning}", "✘ {fault} {where}: {meaning}"),
    "fsck_incomplete": Sentence("  核对在此停止,其余未读。", "  The check stopped here; the rest was not read."),
    "kept_unverified": Sentence(
        "{file} 不是此日志的有效签名检查点或回执:{why}",
        "{file} is no valid signed checkpoint or receipt of this log: {why}",
    ),
    "fsck_broken": Sentence("✘ 日志与其条目不一致。", "✘ The log, or what stands beside it, contradicts its leaves."),
    "fsck_progress": Sentence("已核对 {leaves} 个条目", "{leaves} leaves checked"),
    "receipt_good": Sentence(
        "✔ 回执有效:日志 {log} 第 {index} 条,树大小 {size}。",
        "✔ The receipt is good: leaf {index} of {log}, tree size {size}.",
    ),
    "receipt_bad": Sentence("✘ 未通过:{step}。{detail}", "✘ Failed: {step}. {detail}"),
    "status_up": Sentence("✔ {url} 就绪", "✔ {url} is ready"),
    "status_down": Sentence("✘ {url} 未就绪:{reason}", "✘ {url} is not ready: {reason}"),
    # Refusals
    "usage": Sentence("用法有误:{why}\n查看帮助:{command} --help", "Usage: {why}\nHelp: {command} --help"),
    "client_taken": Sentence("客户端标识已被使用。", "The client identifier is in use."),
    "client_unknown": Sentence("没有这个客户端。", "There is no such client."),
    "partner_closed": Sentence("该机构已关闭。", "The partner is closed."),
    "key_known": Sentence(
        "该密钥已登记过;停用的密钥不得再次使用。", "The key is known already; a key once retired never comes back."
    ),
    "kid_taken": Sentence("该客户端已有同名密钥。", "The client has a key of that name."),
    "too_many_keys": Sentence(
        "该客户端已有两把可用密钥,请先停用一把。", "The client has two live keys already; retire one first."
    ),
    "key_unknown": Sentence("没有这把密钥。", "There is no such key."),
    "key_ambiguous": Sentence(
        "该名称对应多把密钥;请改用指纹。", "Several keys go by that name: give the thumbprint instead."
    ),
    "key_retired": Sentence("该密钥已停用。", "The key is retired already."),
    "key_compromised": Sentence("该密钥已标记为泄露。", "The key is marked compromised already."),
    "last_key": Sentence(
        "这是该客户端最后一把可用密钥;请先登记新密钥,若已泄露请加 --compromised。",
        "It is the client's last live key: register a new one first, or say --compromised.",
    ),
    "key_refused": Sentence("公钥不符合要求:{faults}", "The public key is not acceptable: {faults}"),
    "jwk_unreadable": Sentence("不是 JWK(JSON)", "not a JWK in JSON"),
    "jwk_private": Sentence(
        "其中含有私钥,该私钥已泄露,请勿再使用", "it holds the private key, which is exposed now: do not use it any more"
    ),
    "jwk_refused": Sentence("不接受的密钥({reason})", "a key of a kind we do not accept ({reason})"),
    "kid_malformed": Sentence("kid 只能含字母、数字与 . _ ~ -", "kid may hold letters, digits and . _ ~ - only"),
    "kid_is_a_thumbprint": Sentence(
        "kid 形如指纹,却不是该密钥自己的指纹", "the kid has the form of a thumbprint and is not the key's own"
    ),
    "leaf_unknown": Sentence("没有这个条目。", "There is no such leaf."),
    "not_client_id": Sentence(
        "客户端标识须为 3 至 63 位小写字母、数字或连字符,以字母或数字开头。",
        "A client identifier is 3 to 63 lower-case letters, digits or hyphens and begins with a letter or digit.",
    ),
    "nothing_allowed": Sentence("至少需要一个 --purpose。", "At least one --purpose is needed."),
    "store_unavailable": Sentence("数据库暂时不可用。", "The database is not available."),
    "unavailable": Sentence("服务暂时不可用,请稍后重试。", "The service is not available; try again later."),
    "file_unreadable": Sentence("无法读取文件 {file}。", "Cannot read {file}."),
    "file_exists": Sentence("文件 {file} 已存在,未覆盖。", "{file} exists and was not overwritten."),
    "file_unwritable": Sentence("无法写入 {file}。", "Cannot write {file}."),
    "not_a_time": Sentence("{text} 不是带时区的 RFC 3339 时间。", "{text} is not an RFC 3339 time with offset."),
    "file_malformed": Sentence("文件 {file} 内容有误:{why}", "{file} is malformed: {why}"),
    "policy_malformed": Sentence("策略文件第 {line} 行有误:{why}", "The policy file is wrong in line {line}: {why}"),
    "not_private_key": Sentence("{file} 不是可用的私钥:{why}", "{file} is not a usable private key: {why}"),
    "no_profile": Sentence(
        "没有找到机构配置 {file};请先运行 credit-gateway demo,或用 --profile 指定。",
        "No profile at {file}: run credit-gateway demo, or name one with --profile.",
    ),
    "nobody_named": Sentence("请给出代码,或用 --name 给出名称。", "Give a code, or a name with --name."),
    "unreachable": Sentence("无法连接 {url}。", "Cannot reach {url}."),
    "answer_malformed": Sentence("{url} 的答复不是约定的格式。", "{url} answered in an unexpected form."),
    "token_refused": Sentence("未取得令牌:{why}", "No token: {why}"),
    "request_refused": Sentence("请求被拒绝({problem}):{why}", "Refused ({problem}): {why}"),
    "receipt_not_ours": Sentence(
        "✘ 答复的回执没有通过核验({step}),请勿采信该答复。",
        "✘ The receipt of the answer does not verify ({step}): do not rely on the answer.",
    ),
    "settings_faulty": Sentence("设置有 {count} 处错误:", "{count} settings are wrong:"),
    "database_unfit": Sentence("数据库不满足要求:", "The database is not fit:"),
    "cannot_listen": Sentence("无法监听 {where}:{why}", "Cannot listen on {where}: {why}"),
    "migrate_failed": Sentence("迁移未执行:{why}", "Not migrated: {why}"),
    "unexpected": Sentence(
        "程序出错:{error}({place})。请将此行报告给维护者。", "A defect: {error} ({place}). Please report this line."
    ),
}

WORDS: Final[dict[str, Sentence]] = {**OWN, **CARD, **DATABASE, **DEMO, **LOG}
"""Every word of the command line; no code stands in two tables."""
