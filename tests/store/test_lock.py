"""One process per data directory; what was acknowledged survives `kill -9`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from windvane.kit.errors import ConflictError, UnavailableError
from windvane.store.embedded import EmbeddedEngine
from windvane.store.lock import LOCK_FILE

HOLD = """
import sys
from windvane.store.embedded import EmbeddedEngine
engine = EmbeddedEngine.open(sys.argv[1])
print("open", flush=True)
sys.stdin.read()
engine.close()
"""

# Commits numbered rows in batches and prints each batch's last number once it is acknowledged.
INGEST = """
import asyncio, sys
from windvane.store.api import PayloadInsert
from windvane.store.commit import CommitSettings, GroupCommit, Kind
from windvane.store.embedded import EmbeddedEngine

def insert(commit):
    return PayloadInsert("acked", ["N", "Commit"], f"SELECT n, {commit} FROM {{source}}", "TSV", "n UInt64")

async def sender(commit, first):
    for number in range(first, 10**9, 10):
        await commit.submit("acked", b"%d\\n" % number, 1)
        print(number, flush=True)

async def main():
    engine = EmbeddedEngine.open(sys.argv[1])
    engine.command("CREATE TABLE IF NOT EXISTS acked (N UInt64, Commit UInt64) ENGINE = MergeTree ORDER BY N")
    async with GroupCommit(engine, [Kind("acked", insert, 2)], settings=CommitSettings(delay=0.005)) as commit:
        await asyncio.gather(*(sender(commit, first) for first in range(10)))

asyncio.run(main())
"""

# Opens what was left behind and prints its numbers, and the sequence number that comes next.
COUNT = """
import sys
from windvane.store.commit import CommitSequence
from windvane.store.embedded import EmbeddedEngine
engine = EmbeddedEngine.open(sys.argv[1])
print(int(engine.query("SELECT max(Commit) AS n FROM acked")["n"][0]), CommitSequence(engine).next())
print(*engine.query("SELECT N FROM acked")["N"])
engine.close()
"""


def _start(program: str, directory: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program, str(directory)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def _run(program: str, directory: Path) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", program, str(directory)], capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout.splitlines()


def test_a_second_process_is_told_who_has_the_directory(tmp_path: Path) -> None:
    holder = _start(HOLD, tmp_path)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "open\n"
    try:
        with pytest.raises(subprocess.CalledProcessError) as refused:
            _run(HOLD, tmp_path)
        assert f"is in use by process {holder.pid}" in refused.value.stderr
    finally:
        holder.communicate("", timeout=30)
    assert holder.returncode == 0
    assert _run(HOLD + "print('closed')", tmp_path)[-1] == "closed"


def test_a_second_directory_in_one_process_is_refused(data_directory: Path, tmp_path: Path) -> None:
    with pytest.raises(ConflictError, match="already has"):
        EmbeddedEngine.open(tmp_path)
    assert (data_directory / LOCK_FILE).read_text() == f"{os.getpid()}\n"


def test_a_closed_engine_says_so(data_directory: Path) -> None:
    engine = EmbeddedEngine.open(data_directory, database="closing")
    engine.close()
    engine.close()
    with pytest.raises(UnavailableError, match="closed"):
        engine.query("SELECT 1")


def test_nothing_acknowledged_is_lost_by_kill_9(tmp_path: Path) -> None:
    process = _start(INGEST, tmp_path)
    assert process.stdout is not None
    acknowledged = [int(process.stdout.readline()) for _ in range(200)]
    deadline = time.monotonic() + 1
    while time.monotonic() < deadline:
        acknowledged.append(int(process.stdout.readline()))
    os.kill(process.pid, signal.SIGKILL)
    rest, _ = process.communicate(timeout=30)
    acknowledged += [int(line) for line in rest.splitlines(keepends=True) if line.endswith("\n")]
    numbers, rows = _run(COUNT, tmp_path)
    stored = [int(number) for number in rows.split()]
    assert set(acknowledged) <= set(stored)
    assert len(stored) == len(set(stored))
    last, following = map(int, numbers.split())
    assert following > last
