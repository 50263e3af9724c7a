"""What the command line says of each command in its help, by the command's path.

Help of single options stands with the option, in both languages at once.
"""

from __future__ import annotations

from typing import Final

from gateway.base.messages import Sentence

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
