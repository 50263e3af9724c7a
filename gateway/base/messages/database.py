"""Why a database is not fit to serve from, by the codes of ``gateway.postgres.preflight``.

For: the command line, by way of ``messages.cli``.
"""

from __future__ import annotations

from typing import Final

from gateway.base.messages import Sentence

DATABASE: Final[dict[str, Sentence]] = {
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
}
