"""``demo``: one command to a working gateway with data in it."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from gateway.cli.common import CommonOptions, given, run
from gateway.demo.home import default_demo_directory
from gateway.demo.run import DemoOptions, run_demo
from gateway.sandbox.city import DEFAULT_SIZE, MAX_SIZE

MAX_FIRST_PORT = 65_533


def demo(  # noqa: PLR0913 - the options of one command
    *,
    data_dir: Annotated[Path | None, Parameter(help="数据目录 · data directory")] = None,
    port: Annotated[
        int,
        Parameter(
            validator=Number(gte=0, lte=MAX_FIRST_PORT),
            help="接口端口,0 为自动选择 · port of the API, 0 picks free ones",
        ),
    ] = 8080,
    fresh: Annotated[bool, Parameter(negative="", help="清空后重新开始 · start from nothing")] = False,
    size: Annotated[
        int, Parameter(validator=Number(gte=0, lte=MAX_SIZE), help="合成商户数 · merchants in the synthetic city")
    ] = DEFAULT_SIZE,
    workers: Annotated[int, Parameter(validator=Number(gte=1, lte=64), help="工作进程数 · worker processes")] = 2,
    ready_file: Annotated[
        Path | None, Parameter(help="全部就绪后写入的 JSON 文件 · JSON file written once everything answers")
    ] = None,
    common: CommonOptions = None,
) -> int:
    """Start everything on this machine and stay until Ctrl-C."""
    options = DemoOptions(
        data_dir=(data_dir or default_demo_directory()).absolute(),
        port=port,
        fresh=fresh,
        size=size,
        workers=workers,
        ready_file=None if ready_file is None else ready_file.absolute(),
    )
    return run(run_demo(options, given(common).terminal()))
