"""``status`` and ``version``."""

import aiohttp

from gateway import __version__
from gateway.cli.common import CommonOptions, given, run
from gateway.terminal.terminal import Exit

DEADLINE_S = 5.0
MAX_REASON_CHARS = 200


def status(*, common: CommonOptions = None) -> int:
    """Ask the admin port of this host's gateway whether it is ready, and why not."""
    options = given(common)
    terminal = options.terminal()
    url = f"http://{options.settings().admin_bind}/readyz"
    ready, reason = run(_ask(url))
    if terminal.json:
        terminal.document({"url": url, "ready": ready, "reason": reason})
    elif ready:
        terminal.tell("status_up", url=url)
    else:
        terminal.tell("status_down", url=url, reason=reason)
    return Exit.OK if ready else Exit.UNHEALTHY


async def _ask(url: str) -> tuple[bool, str]:
    timeout = aiohttp.ClientTimeout(total=DEADLINE_S)
    try:
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as answer:
            text = (await answer.content.read(MAX_REASON_CHARS)).decode("utf-8", "replace").strip()
            return answer.status == 200, text  # noqa: PLR2004 - OK
    except (aiohttp.ClientError, TimeoutError, OSError) as exc:
        return False, type(exc).__name__


def version(*, common: CommonOptions = None) -> int:
    """Print the version of the program."""
    terminal = given(common).terminal()
    if terminal.json:
        terminal.document({"version": __version__})
    else:
        terminal.line(__version__)
    return Exit.OK
