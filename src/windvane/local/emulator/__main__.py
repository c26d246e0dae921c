"""`python -m windvane.local.emulator PLAN`: emulate until SIGTERM."""

from __future__ import annotations

import asyncio
import random
import signal
import sys
from pathlib import Path

import uvloop

from windvane.kit.clock import SystemClock
from windvane.local.emulator.host import EmulatorHost


async def _main(plan: Path) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await EmulatorHost(SystemClock(), random.Random()).follow(plan, stop)


if __name__ == "__main__":
    uvloop.run(_main(Path(sys.argv[1])))
