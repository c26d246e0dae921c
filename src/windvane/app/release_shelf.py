"""States of releases in the store, a row a change; the newest counts."""

from __future__ import annotations

import threading
from collections.abc import Mapping

import numpy as np
import orjson

from windvane.kit.errors import InternalError
from windvane.rollout.folder import Key
from windvane.rollout.release import Memory
from windvane.store import native
from windvane.store.api import Engine, PayloadInsert

_NEWEST = (
    "SELECT Namespace, Name, argMax(State, Number) AS Newest, max(Number) AS Last FROM release_states"
    " GROUP BY Namespace, Name"
)


class StoreShelf:
    """The table `release_states`. Every method blocks; errors are the store's."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._number = 0
        self._numbering = threading.Lock()

    def load(self) -> Mapping[Key, Memory]:
        """What was kept last of each release; `InternalError` where it cannot be read."""
        found = self._engine.query(_NEWEST)
        self._number = int(found["Last"].max()) if len(found) else 0
        return {
            (str(row.Namespace), str(row.Name)): _memory(str(row.Newest), f"{row.Namespace}/{row.Name}")
            for row in found.itertuples()
            if row.Newest
        }

    def save(self, key: Key, memory: Memory | None, at: float) -> None:
        """Keep a state from now on; None forgets the release."""
        text = "" if memory is None else orjson.dumps(memory.json()).decode()
        with self._numbering:
            self._number += 1
            self._engine.insert_payload(_STATES, _block([key[0]], [key[1]], at, self._number, [text]))


def _memory(text: str, name: str) -> Memory:
    try:
        return Memory.of(orjson.loads(text))
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise InternalError(f"release {name}: what the store keeps is not a state: {error}") from None


def _columns(spaces: list[str], names: list[str], at: float, number: int, texts: list[str]) -> list[native.Column]:
    rows = len(names)
    return [
        native.texts("Namespace", spaces),
        native.texts("Name", names),
        native.moments("Kept", np.full(rows, round(at * 1_000), np.int64)),
        native.numbers("Number", np.full(rows, number, np.uint64)),
        native.texts("State", texts),
    ]


def _block(spaces: list[str], names: list[str], at: float, number: int, texts: list[str]) -> bytes:
    return native.block(_columns(spaces, names, at, number, texts), len(names))


_STATES: PayloadInsert = native.insert_of("release_states", _columns([], [], 0.0, 0, []))
