"""What is said about settings: the meaning of each, and what can be wrong with one.

For: ``credit-gateway config``, the refusal to start, and the settings table of the documentation, made from here.
"""

from __future__ import annotations

from typing import Final

from gateway.base.messages import Sentence

MEANINGS: Final[dict[str, Sentence]] = {
    "environment": Sentence(
        "production 或 demo;demo 才允许本机 http、示例密钥与内嵌数据库",
        "production or demo; only the demo may use http on loopback, example keys and the embedded database",
    ),
    "issuer": Sentence(
        "网关对外地址,即令牌签发者与受众;只含协议与主机,无路径",
        "public address of the gateway, issuer and audience of its tokens; scheme and host only, no path",
    ),
    "database_dsn": Sentence("PostgreSQL 连接串(角色 gateway_api)", "PostgreSQL connection URI (role gateway_api)"),
    "feed_database_dsn": Sentence(
        "同步进程的连接串(角色 gateway_feed);缺省同 GATEWAY_DATABASE_DSN",
        "connection URI of the feed process (role gateway_feed); GATEWAY_DATABASE_DSN if absent",
    ),
    "operator_database_dsn": Sentence(
        "运维命令的连接串(角色 gateway_admin);缺省同 GATEWAY_DATABASE_DSN",
        "connection URI of operator commands (role gateway_admin); GATEWAY_DATABASE_DSN if absent",
    ),
    "bind": Sentence("服务监听地址", "where partners are served"),
    "admin_bind": Sentence("管理端口监听地址:/livez /readyz /metrics", "admin port: /livez, /readyz, /metrics"),
    "admin_network_private": Sentence(
        "true 表示承诺:管理端口只有运维网络可以到达;监听非回环地址时必须承诺",
        "true promises that only the operators' network reaches admin_bind; required to bind it beyond loopback",
    ),
    "workers": Sentence("工作进程数,一般每核一个", "worker processes, usually one a core"),
    "keys_dir": Sentence(
        "本机密钥目录,由 credit-gateway keys init 生成", "this host's key files, made by credit-gateway keys init"
    ),
    "guard_dir": Sentence(
        "守护目录:记录本机已签署的日志高度与已核对的数据摘要,须可写、不随数据库备份;缺省为密钥目录下的 guard",
        "the guard's folder: what this host has signed, and digests of the feed; writable, never restored with the database; "
        "guard in the keys' folder if absent",
    ),
    "log_id": Sentence("审计日志编号", "number of the audit log"),
    "log_origin": Sentence(
        "审计日志名称,写入每个检查点,启用后不可更改,如 audit.example.cn/log1",
        "name of the audit log in every checkpoint, e.g. audit.example.cn/log1; never changes once used",
    ),
    "host_name": Sentence(
        "本机在日志中的名称;缺省为主机名", "this host's name in the log; the machine's name if absent"
    ),
    "feed_url": Sentence("市信用信息共享平台数据发布地址", "base URL of the municipal platform's feed"),
    "feed_name": Sentence("数据发布的名称,须与平台签名文件中的一致", "name of the feed, as the platform signs it"),
    "feed_keys_file": Sentence("平台发布签名公钥文件", "file of the platform's public signing keys"),
    "feed_poll_s": Sentence("查询新版本的间隔(秒)", "seconds between looks for a new version"),
    "feed_verify_s": Sentence(
        "数据库内容与已签发数据逐条核对一轮所用时间(秒)",
        "seconds for one round of comparing every row of the replica with what was signed",
    ),
    "max_stale_s": Sentence(
        "数据最大时效(秒);超过则一律答复 unavailable",
        "oldest data that may be answered from, in seconds; past it every answer is unavailable",
    ),
    "dpop_nonce": Sentence("DPoP 证明是否必须带网关随机数", "whether proofs must carry a nonce of the gateway"),
    "max_body_bytes": Sentence("请求体上限(字节)", "largest request body in bytes"),
    "request_timeout_ms": Sentence("单个请求的总时限(毫秒)", "deadline of a whole request in milliseconds"),
    "commit_queue": Sentence(
        "等待审计提交的请求上限,超过答复 503", "requests that may wait for the audit commit; more are answered 503"
    ),
    "pool_size": Sentence(
        "每个工作进程供合作方使用的数据库连接上限;公开日志与令牌接口另有各 2 个",
        "database connections of one worker for partners, at most; the public log and the token endpoint have 2 each of their own",
    ),
    "behind_proxy": Sentence(
        "true 表示承诺:服务端口只有反向代理可以到达,由它终止 TLS、缓冲请求体并限制各地址的连接数,网关不再按地址限制;"
        "监听非回环地址时必须承诺",
        "true promises that only a reverse proxy reaches bind: it ends TLS, buffers bodies and bounds each address, which the gateway"
        " then does not; required to bind beyond loopback",
    ),
    "max_connections": Sentence(
        "每个工作进程的连接上限;满时关闭最早的、尚未通过认证的连接",
        "connections of one worker at most; past it the oldest that has carried no authenticated request is closed",
    ),
    "max_connections_of_address": Sentence(
        "每个工作进程中单个地址的连接上限;behind_proxy 为 true 时不适用",
        "connections of one address to one worker at most; not applied if behind_proxy is true",
    ),
    "drain_s": Sentence("停止时等待在途请求的时限(秒)", "seconds to finish requests under way when stopping"),
    "log_level": Sentence("日志级别", "least severe log event written"),
    "log_format": Sentence("日志格式:json 或 console", "json lines, or text for people"),
}

FAULTS: Final[dict[str, Sentence]] = {
    "missing": Sentence("未设置", "is not set"),
    "unknown": Sentence("不是网关的设置项", "is not a setting of the gateway"),
    "unknown_near": Sentence(
        "不是网关的设置项,是否应为 {near}", "is not a setting of the gateway; did you mean {near}"
    ),
    "both_given": Sentence("与 {file} 只能设置其一", "and {file} are both set; set one"),
    "not_writable": Sentence("不能写入 {file}", "cannot be written: {file}"),
    "not_integer": Sentence("应为整数", "must be a whole number"),
    "not_boolean": Sentence("应为 true 或 false", "must be true or false"),
    "out_of_range": Sentence("应在 {least} 至 {most} 之间", "must be between {least} and {most}"),
    "not_choice": Sentence("应为其中之一:{allowed}", "must be one of: {allowed}"),
    "not_url": Sentence(
        "应为 http 或 https 地址,不含用户、查询与片段", "must be an http(s) URL without user, query, fragment"
    ),
    "not_origin": Sentence(
        "应为小写的协议与主机,如 https://gateway.example.cn,无路径、无末尾斜杠、不写默认端口",
        "must be scheme and host in lower case, e.g. https://gateway.example.cn: no path, slash or default port",
    ),
    "https_required": Sentence(
        "必须使用 https;仅 demo 环境的本机地址可用 http", "must be https; http only on loopback in the demo"
    ),
    "not_address": Sentence("应为 主机:端口,如 127.0.0.1:8080 或 [::1]:8080", "must be host:port, e.g. 127.0.0.1:8080"),
    "same_address": Sentence("不能与 {other} 相同", "must differ from {other}"),
    "not_dsn": Sentence(
        "应为 postgresql://用户:口令@主机:端口/库名 形式",
        "must look like postgresql://user:password@host:port/database",
    ),
    "not_log_origin": Sentence(
        "应为不带协议的地址,如 audit.example.cn/log1", "must be a URL without scheme, e.g. audit.example.cn/log1"
    ),
    "not_host_name": Sentence(
        "只能含字母、数字、点、横线、下划线,最长 64", "may hold letters, digits, . - _ (64 at most)"
    ),
    "not_feed_name": Sentence("只能含小写字母、数字、点、横线、下划线", "may hold lower-case letters, digits, . - _"),
    "not_readable": Sentence("文件无法读取:{file}", "names a file that cannot be read: {file}"),
    "not_toml": Sentence("文件 {file} 不是有效的 TOML:{why}", "file {file} is not TOML: {why}"),
    "key_missing": Sentence(
        "缺少密钥文件 {file};可用 credit-gateway keys init 生成",
        "lacks the key file {file}; see credit-gateway keys init",
    ),
    "key_malformed": Sentence(
        "密钥文件 {file} 格式有误,应为 {form}", "has a malformed key file {file}; expected {form}"
    ),
    "key_exposed": Sentence(
        "密钥文件 {file} 的权限为 {mode},组或其他用户可读;应为 0400 或 0600",
        "has a key file {file} of mode {mode} that others may read; it must be 0400 or 0600",
    ),
    "key_twice": Sentence(
        "密钥文件 {file} 与 {other} 是同一个密钥;请删除其中误复制的一个,重新生成",
        "has the same key in {file} and {other}; make the one that was copied anew",
    ),
    "secret_exposed": Sentence(
        "文件 {file} 含有秘密而权限为 {mode},其他用户可读;请执行 chmod 0400 {file}",
        "names a file with a secret, {file}, of mode {mode} that others may read; chmod 0400 {file}",
    ),
    "path_writable": Sentence(
        "所信任的文件位于 {place},其权限为 {mode},其他用户可以改写;请执行 chmod go-w {place}",
        "is trusted, but others may change {place} (mode {mode}) on the way to it; chmod go-w {place}",
    ),
    "path_sticky": Sentence(
        "所信任的文件经过人人可写的目录 {place}(权限 {mode}),一旦被清理,任何人都能另造一个;请移到只有 root 或运行用户可写的目录",
        "lies below {place} (mode {mode}), where whoever comes first may make anew what was cleaned away; move it to a"
        " folder that only root or the gateway's user may write",
    ),
    "path_owner": Sentence(
        "所信任的文件经过 {place},其属主是用户 {owner},既非 root 也非当前运行用户;请执行 chown root {place},或以该用户运行",
        "is trusted, but {place} on the way to it belongs to user {owner}, neither root nor the one running this;"
        " chown root {place}, or run as that user",
    ),
    "database_unverified": Sentence(
        "数据库 {host} 不在本机,连接串必须含 sslmode=verify-full(并以 sslrootcert 指明证书);或改用本机套接字",
        "names a database beyond this host ({host}) without sslmode=verify-full (and sslrootcert); add it, or use a local socket",
    ),
    "bind_open": Sentence(
        "为 {address},网关只说明文 HTTP;请监听回环地址,或在只有终止 TLS 的代理可以到达时设置 {promise}=true",
        "is {address}, and the gateway speaks plain HTTP; bind loopback, or set {promise}=true where only a proxy that"
        " ends TLS reaches it",
    ),
    "admin_open": Sentence(
        "为 {address},而管理端口不验证身份;请监听回环地址,或在只有运维网络可以到达时设置 {promise}=true",
        "is {address}, and the admin port asks nobody who he is; bind loopback, or set {promise}=true where only the"
        " operators' network reaches it",
    ),
    "key_example": Sentence(
        "密钥文件 {file} 是公开的示例密钥,只能用于 demo",
        "holds the public example key {file}, allowed only in the demo",
    ),
}
