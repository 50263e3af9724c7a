"""The command tree: every command with its place, its function and an example that can be typed as it stands.

For: building the application with help in one language. Functions are named, not imported: each command loads only what it
needs, so that help is quick and a worker carries no command it does not run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from cyclopts import App

from gateway import __version__
from gateway.base.messages import Lang, say
from gateway.base.messages.help import HELP

COMMAND: Final = "credit-gateway"
_HELP_FLAGS: Final = ("--help", "-h")


@dataclass(frozen=True, slots=True)
class Command:
    """``path`` is what is typed, ``function`` where it lies below ``gateway.cli.commands``. Hidden ones have no example."""

    path: str
    function: str
    examples: tuple[str, ...] = ()


COMMANDS: Final = (
    Command("demo", "demo:demo", ("demo", "demo --port 0 --fresh")),
    Command("verify", "verify:verify", ("verify 91990000000000035P --purpose onboarding --business-ref C-2026-118",)),
    Command("receipt verify", "receipt:verify", ("receipt verify answer.json --policy log-policy.txt",)),
    Command("serve", "serve:serve", ("serve --workers 4",)),
    Command("serve-worker", "serve:serve_worker"),
    Command("feed-worker", "serve:feed_worker"),
    Command("migrate", "migrate:migrate_", ("migrate --roles", "migrate --plan")),
    Command(
        "partner add",
        "partners:add",
        ("partner add huoyun-platform --name 某网络货运平台 --sector network_freight --purpose onboarding",),
    ),
    Command("partner list", "partners:list_", ("partner list --json",)),
    Command("key generate", "partner_keys:generate", ("key generate partner.pem",)),
    Command("key add", "partner_keys:add", ("key add huoyun-platform --jwk partner.pub.json",)),
    Command("key list", "partner_keys:list_", ("key list huoyun-platform",)),
    Command(
        "key revoke",
        "partner_keys:revoke",
        (
            "key revoke 2026-autumn --client huoyun-platform",
            "key revoke NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs --compromised",
        ),
    ),
    Command("keys init", "host_keys:init", ("keys init /etc/credit-gateway/keys",)),
    Command("log-policy", "host_keys:log_policy", ("log-policy > log-policy.txt",)),
    Command("feed pull", "feed:pull", ("feed pull", "feed pull --approve 118", "feed pull --reload")),
    Command("feed verify", "feed:verify", ("feed verify", "feed verify --json")),
    Command("feed status", "feed:status", ("feed status --json",)),
    Command("audit list", "audit:list_", ("audit list --limit 50",)),
    Command("audit get", "audit:get", ("audit get 73894 --json",)),
    Command("audit fsck", "audit:fsck", ("audit fsck",)),
    Command("log status", "log:status", ("log status",)),
    Command(
        "log join",
        "log:join",
        ("log join --against checkpoint.txt --policy log-policy.txt --by 王敏 --reason 第二台主机",),
    ),
    Command("log resolve", "log:resolve", ("log resolve --by 王敏 --reason 已恢复正确的数据库",)),
    Command(
        "log succeed",
        "log:succeed",
        ("log succeed --log-id 2 --origin audit.example.cn/log2 --by 王敏 --reason 备份丢失最近一小时",),
    ),
    Command("config check", "config:check", ("config check --database",)),
    Command("config show", "config:show", ("config show",)),
    Command("config schema", "config:schema", ("config schema --markdown",)),
    Command("status", "status:status", ("status",)),
    Command("version", "status:version", ("version --json",)),
)
"""In the order in which people meet them."""


def build_app(lang: Lang) -> App:
    """Return the application with its help in one language."""
    root = _noun(COMMAND, "app", lang)
    nouns = {"": root}
    for command in COMMANDS:
        noun, _, name = command.path.rpartition(" ")
        if noun not in nouns:
            nouns[noun] = _noun(noun, noun, lang)
            root.command(nouns[noun])
        function = f"gateway.cli.commands.{command.function}"
        if not command.examples:
            nouns[noun].command(function, name=name, show=False)
            continue
        lines = [f"    {COMMAND} {example}" for example in command.examples]
        epilogue = "\n".join([say(HELP, "example", lang) + ":", "", *lines])
        nouns[noun].command(function, name=name, help=say(HELP, command.path, lang), help_epilogue=epilogue)
    return root


def _noun(name: str, code: str, lang: Lang) -> App:
    return App(
        name=name,
        help=say(HELP, code, lang),
        version=__version__,
        help_format="plaintext",
        help_flags=_HELP_FLAGS,
        result_action="return_value",
    )
