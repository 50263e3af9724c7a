"""What the command line says: results, refusals, progress and help, by stable code.

For: ``gateway.cli``. Help of single options stands with the option, in both languages at once.
"""

from __future__ import annotations

from typing import Final

from gateway.base.messages import Sentence

WORDS: Final[dict[str, Sentence]] = {
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
    "db_not_durable": Sentence("{name} 未开启,提交后的数据可能丢失", "{name} is off: committed data may be lost"),
    "db_too_old": Sentence(
        "PostgreSQL 版本过低({version}),需要 15 以上", "PostgreSQL is too old ({version}); 15 is needed"
    ),
    "db_standby": Sentence("这是备库,不能写入", "it is a standby and cannot be written to"),
    "db_embedded": Sentence("这是演示用的内嵌数据库", "it is the demo's embedded server"),
    "db_safeguard_changed": Sentence("{name} 与程序所带的不同", "{name} is not as shipped"),
    "db_safeguard_missing": Sentence("缺少 {name}", "{name} is missing"),
    "db_safeguard_unknown": Sentence("{name} 不是程序所带的", "{name} was not shipped"),
    "db_triggers_off": Sentence("触发器未生效:{name}", "triggers do not fire: {name}"),
    "db_schema": Sentence(
        "数据库结构为 {found},程序需要 {wanted};请运行 credit-gateway migrate",
        "its schema is {found}, the program needs {wanted}; run credit-gateway migrate",
    ),
    "cannot_listen": Sentence("无法监听 {where}:{why}", "Cannot listen on {where}: {why}"),
    "migrate_failed": Sentence("迁移未执行:{why}", "Not migrated: {why}"),
    "unexpected": Sentence(
        "程序出错:{error}({place})。请将此行报告给维护者。", "A defect: {error} ({place}). Please report this line."
    ),
    # The log and this host
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
    # Demo
    "demo_step_database": Sentence("启动内嵌 PostgreSQL", "starting the embedded PostgreSQL"),
    "demo_step_schema": Sentence("建立数据库结构与角色", "making the schema and its roles"),
    "demo_step_city": Sentence(
        "启动模拟市平台({size} 户商户)", "starting the simulated municipal platform ({size} merchants)"
    ),
    "demo_step_keys": Sentence("生成密钥并登记演示机构", "making keys and registering the demo partner"),
    "demo_step_gateway": Sentence("启动网关({workers} 个工作进程)", "starting the gateway ({workers} workers)"),
    "demo_step_feed": Sentence("同步信用数据,等待就绪", "applying the feed, waiting until everything answers"),
    "demo_ready": Sentence("演示已就绪。按 Ctrl-C 停止。", "The demo is ready. Ctrl-C stops it."),
    "demo_next": Sentence("下一步,在另一个终端输入:", "Next, type in another terminal:"),
    "demo_stopping": Sentence("正在停止……", "stopping …"),
    "demo_stopped": Sentence("已停止。数据保留在 {dir}", "Stopped. The data is kept in {dir}"),
    "demo_running": Sentence(
        "{dir} 中已有演示在运行(进程 {pid})。请先停止它,或用 --data-dir 另选目录。",
        "A demo is already running in {dir} (process {pid}). Stop it first, or choose another --data-dir.",
    ),
    "demo_died": Sentence(
        "{what} 意外退出(代码 {exit}),日志见 {log}", "{what} ended unexpectedly (code {exit}); see {log}"
    ),
    "demo_slow": Sentence(
        "{what} 在 {seconds} 秒内未就绪,日志见 {log}", "{what} was not ready within {seconds} s; see {log}"
    ),
    "demo_not_ours": Sentence(
        "{dir} 不是演示目录,--fresh 不会清空它。", "{dir} is not a demo directory; --fresh will not empty it."
    ),
    "demo_no_server": Sentence("无法启动内嵌 PostgreSQL:{why}", "The embedded PostgreSQL cannot be started: {why}"),
    "api": Sentence("接口", "API"),
    "admin": Sentence("管理端口", "admin port"),
    "municipal": Sentence("模拟市平台", "municipal simulator"),
    "policy": Sentence("日志信任策略", "log policy"),
    "profile": Sentence("机构配置", "profile"),
    # The card of an answer
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

HELP: Final[dict[str, Sentence]] = {
    "app": Sentence(
        "信用网关:平台企业核验签约商户,答复附可独立核验的回执。",
        "Credit gateway: partners verify merchants; every answer carries a receipt that anyone can check.",
    ),
    "demo": Sentence("一条命令启动完整演示", "everything at once, on this machine"),
    "verify": Sentence("核验一个商户或参与方", "verify one merchant or participant"),
    "serve": Sentence("启动网关", "run the gateway"),
    "migrate": Sentence("建立或升级数据库结构", "bring the database to this version's schema"),
    "partner": Sentence("接入机构", "partners"),
    "partner add": Sentence("登记机构", "bring a partner on"),
    "partner list": Sentence("列出机构", "list partners"),
    "key": Sentence("机构密钥", "partners' keys"),
    "key generate": Sentence("生成一对机构密钥(在机构一侧)", "make a key pair, on the partner's side"),
    "key add": Sentence("登记机构公钥", "register a partner's public key"),
    "key list": Sentence("列出机构密钥", "list the keys of a client"),
    "key revoke": Sentence("停用密钥,立即生效", "take a key out of use, at once"),
    "keys": Sentence("本机密钥", "this host's own keys"),
    "keys init": Sentence("生成本机密钥文件", "make this host's key files"),
    "feed": Sentence("市平台数据", "the municipal feed"),
    "feed pull": Sentence("立即同步一次", "look for a new version now"),
    "feed verify": Sentence("逐条核对数据库内容与已签发数据", "compare every row with what was signed"),
    "feed status": Sentence("当前版本与近况", "which version is answered from"),
    "audit": Sentence("审计日志", "the audit log"),
    "audit list": Sentence("最近的条目", "the latest leaves"),
    "audit get": Sentence("查看一个条目", "one leaf, opened"),
    "audit fsck": Sentence("核对整个日志及其旁的数据", "check the whole log and what stands beside it"),
    "log": Sentence("日志与本机", "the log and this host"),
    "log status": Sentence("本机所签与数据库是否一致", "whether the database agrees with what this host has signed"),
    "log join": Sentence("新主机开始守护已有条目的日志", "begin to guard a log that has leaves"),
    "log resolve": Sentence("原因排除后消除疑点", "resolve a doubt whose cause is gone"),
    "log succeed": Sentence("关闭日志,启用后继日志", "close the log and open its successor"),
    "receipt": Sentence("回执", "receipts"),
    "receipt verify": Sentence("离线核验回执", "verify a receipt offline"),
    "log-policy": Sentence("输出本机日志信任策略", "print the log policy of this host"),
    "config": Sentence("设置", "settings"),
    "config check": Sentence("检查设置、密钥与数据库", "check settings, keys and database"),
    "config show": Sentence("显示生效的设置及来源", "show the settings in force and where each is from"),
    "config schema": Sentence("列出全部设置项", "list every setting"),
    "status": Sentence("查询网关是否就绪", "ask a running gateway whether it is ready"),
    "version": Sentence("显示版本", "print the version"),
    "example": Sentence("示例", "Example"),
}
