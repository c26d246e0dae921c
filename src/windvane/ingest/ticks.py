"""Work that is repeated in pauses: counting what has been committed since the last time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from windvane.kit.clock import Clock
from windvane.kit.errors import WindvaneError

_log = logging.getLogger(__name__)


async def repeat(tick: Callable[[], object], seconds: float, clock: Clock, what: str) -> None:
    """Tick in a thread until cancelled, so many seconds after the last one; a tick that fails is told."""
    while True:
        await clock.sleep(seconds)
        try:
            await asyncio.to_thread(tick)
        except WindvaneError as error:
            _log.warning("%s: tick failed, the next one repeats it: %s", what, error)
