"""A bank as bytes and back: versioned, checked, compact.

Floats keep twelve bits of their fraction (one part in four thousand), bytes of equal weight lie together, and all of
it is deflated. What follows from the rest is made anew.
"""

from __future__ import annotations

import dataclasses
import json
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from windvane.analytics.baselines.bank import MINUTES, Bank
from windvane.analytics.baselines.contract import Scope, StateError
from windvane.analytics.baselines.lessons import UNKNOWN
from windvane.analytics.baselines.rings import RING
from windvane.analytics.baselines.roster import Roster
from windvane.analytics.baselines.tables import arrays
from windvane.analytics.baselines.tracks import Stretch

VERSION = 3
_MAGIC = b"windvane baselines"
_HEAD = struct.Struct(">18sHI")
"""Magic, version, checksum of what follows."""
_LEVEL = 3
_MADE_ANEW = (
    "rate.recent", "rate.due", "rate.unseen", "slow.recent", "slow.due", "slow.unseen", "burns.total"
)  # fmt: skip
_FRACTION = np.uint32(0xFFFFFFFF << (23 - 12) & 0xFFFFFFFF)


@dataclass
class Kept:
    """What was taken up."""

    bank: Bank
    roster: Roster
    names: dict[tuple[str, str], tuple[str, str]]
    pending: dict[Scope, int]


def dump(bank: Bank, roster: Roster, names: dict[tuple[str, str], tuple[str, str]], pending: dict[Scope, int]) -> bytes:
    """All of it as bytes."""
    size = roster.size
    meta = {
        "rows": size, "next": bank.rings.next, "settled": bank.settled, "since": bank.since,
        "scopes": [[row, *dataclasses.astuple(scope)] for scope, row in roster.rows.items()], "free": roster.free,
        "names": [[*key, *value] for key, value in names.items()],
        "pending": [[at, *dataclasses.astuple(scope)] for scope, at in pending.items()],
        "open": [list(dataclasses.astuple(one)) for one in bank.tracks.open.values()],
        "ended": [list(dataclasses.astuple(one)) for one in bank.tracks.ended],
    }  # fmt: skip
    parts = [json.dumps(meta).encode()]
    for path, owner, _, value in arrays(bank):
        if path not in _MADE_ANEW:
            parts.append(_packed(_newest(value[:size], owner is bank.rings, bank.rings.end)))
    body = b"".join(struct.pack(">I", len(part)) + part for part in parts)
    return _HEAD.pack(_MAGIC, VERSION, zlib.crc32(body)) + body


def _newest(value: npt.NDArray[Any], of_ring: bool, end: int) -> npt.NDArray[Any]:
    return value[..., end - RING : end] if of_ring else value


def _packed(value: npt.NDArray[Any]) -> bytes:
    if value.dtype.kind == "f":
        kept = value.astype(np.float32).view(np.uint32) & _FRACTION
    elif value.dtype == np.int16:
        kept = np.diff(value, axis=-1, prepend=UNKNOWN).astype(np.int16)
    else:
        kept = value
    plain = np.ascontiguousarray(kept).reshape(-1)
    return zlib.compress(plain.view(np.uint8).reshape(len(plain), -1).T.tobytes() if len(plain) else b"", _LEVEL)


def load(kept: bytes, blank: Callable[[int], Bank], roster: Roster) -> Kept:
    """Take up a state; `StateError` says why not."""
    if len(kept) < _HEAD.size or not kept.startswith(_MAGIC):
        raise StateError("kept baselines: not a state of baselines")
    _, version, checksum = _HEAD.unpack_from(kept)
    if version != VERSION:
        raise StateError(f"kept baselines: version {version}, where {VERSION} is known")
    body = kept[_HEAD.size :]
    if zlib.crc32(body) != checksum:
        raise StateError("kept baselines: damaged, the checksum is another")
    try:
        return _taken_up(body, blank, roster)
    except (KeyError, ValueError, TypeError, IndexError, struct.error, zlib.error) as error:
        raise StateError(f"kept baselines: {error}") from error


def _taken_up(body: bytes, blank: Callable[[int], Bank], roster: Roster) -> Kept:
    parts = _split(body)
    meta = json.loads(next(parts))
    bank = blank(meta["rows"])
    for path, owner, name, value in list(arrays(bank)):
        if path in _MADE_ANEW:
            continue
        if owner is bank.rings:
            value[..., :RING] = _unpacked(next(parts), value[..., :RING])
        else:
            setattr(owner, name, _unpacked(next(parts), value))
    bank.rings.end, bank.rings.next = RING, meta["next"]
    bank.settled, bank.since = meta["settled"], meta["since"]
    bank.tracks.open = {(one[0], one[1]): Stretch(*one) for one in meta["open"]}
    bank.tracks.ended = [Stretch(*one) for one in meta["ended"]]
    for row, *scope in meta["scopes"]:
        roster.place(Scope(*scope), row)
    roster.free = meta["free"]
    bank.burns.recount()
    if bank.rings.next:
        bank.expect((bank.rings.next - 1) // MINUTES)
    names = {(one[0], one[1]): (one[2], one[3]) for one in meta["names"]}
    return Kept(bank, roster, names, {Scope(*scope): at for at, *scope in meta["pending"]})


def _split(body: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(body):
        (size,) = struct.unpack_from(">I", body, at)
        yield body[at + 4 : at + 4 + size]
        at += 4 + size


def _unpacked(part: bytes, like: npt.NDArray[Any]) -> npt.NDArray[Any]:
    kind = np.dtype(np.uint32) if like.dtype.kind == "f" else like.dtype
    raw = np.frombuffer(zlib.decompress(part), np.uint8).reshape(kind.itemsize, -1).T
    found = np.ascontiguousarray(raw).reshape(-1).view(kind).reshape(like.shape)
    if like.dtype.kind == "f":
        return found.view(np.float32).astype(like.dtype)
    if like.dtype == np.int16:
        return (np.cumsum(found, axis=-1, dtype=np.int16) + UNKNOWN).astype(np.int16)
    return found.copy()
