"""Options that every command has, and how a command gets its terminal and its settings.

Type hints here are read by the argument parser at run time, so they are not strings and their imports are real.
"""

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TypeAlias, TypeVar

from cyclopts import Parameter, Token

from gateway.base.messages import Lang
from gateway.base.settings import Settings, environment_variables, load_settings
from gateway.terminal.failures import CommandError
from gateway.terminal.terminal import Exit, Terminal

Result = TypeVar("Result")
Choice = TypeVar("Choice", bound=StrEnum)

MAX_INPUT_BYTES = 1 << 20


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Common:
    """What every command takes."""

    json: Annotated[bool, Parameter(negative="", help="输出 JSON · one JSON document on stdout")] = False
    lang: Annotated[Lang | None, Parameter(help="语言,缺省取 LANG · language, from LANG if absent")] = None
    config: Annotated[
        Path | None, Parameter(help="设置文件(TOML),缺省取 GATEWAY_CONFIG · settings file, GATEWAY_CONFIG if absent")
    ] = None

    def terminal(self) -> Terminal:
        """Return where and how to write."""
        return Terminal(lang=self.lang or language_of_environment(), json=self.json)

    def settings(self) -> Settings:
        """Return the settings in force, or raise ``SettingsError``."""
        return load_settings(environment_variables(), self.config)


CommonOptions: TypeAlias = Common | None


def given(common: CommonOptions) -> Common:
    """Return the options of a command, with their defaults where none was given."""
    return common or Common()


def language_of_environment() -> Lang:
    """Return the language of the environment: English where a locale says so, Chinese otherwise."""
    variables = environment_variables()
    if variables.get("GATEWAY_LANG") in {lang.value for lang in Lang}:
        return Lang(variables["GATEWAY_LANG"])
    locale = variables.get("LC_ALL") or variables.get("LC_MESSAGES") or variables.get("LANG") or ""
    return Lang.EN if locale.lower().startswith("en") else Lang.ZH


def read_file(file: Path) -> bytes:
    """Return a bounded file, or standard input for ``-``; a file that cannot be read is a usage error."""
    try:
        with Path("/dev/stdin" if str(file) == "-" else file).open("rb") as stream:
            return stream.read(MAX_INPUT_BYTES)
    except OSError as exc:
        raise CommandError(Exit.USAGE, "file_unreadable", file=str(file)) from exc


def file_or_input(zh: str, en: str) -> Parameter:
    """Return how a file is named that may also be ``-``, standard input, which would else be taken for an option."""
    return Parameter(allow_leading_hyphen=True, help=f"{zh},- 为标准输入 · {en}, - for standard input")


def by_value(kind: type[Choice], tokens: Sequence[Token]) -> Choice:
    """Read a word of an enumeration as it is written in the protocol, and not as Python names it."""
    try:
        return kind(tokens[0].value)
    except ValueError:
        raise ValueError(", ".join(kind)) from None


def word_of(kind: type[StrEnum], meaning: str) -> Parameter:
    """Return how an option takes one word of an enumeration; its help lists the words."""
    return Parameter(converter=by_value, show_choices=False, help=f"{meaning}: {' | '.join(kind)}")


def run(work: Coroutine[Any, Any, Result]) -> Result:
    """Run the asynchronous part of a command."""
    return asyncio.run(work)
