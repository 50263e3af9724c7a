"""What the demo says: its steps, what to type next, and why it cannot go on.

For: ``gateway.demo``, by way of ``messages.cli``.
"""

from __future__ import annotations

from typing import Final

from gateway.base.messages import Sentence

DEMO: Final[dict[str, Sentence]] = {
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
}
