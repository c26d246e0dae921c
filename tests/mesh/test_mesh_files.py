"""Files, directories and edits: what is read, what refuses, what a watcher tells."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from windvane.kit.clock import SystemClock
from windvane.mesh import files
from windvane.mesh.files import FileSource, LoadResult
from windvane.mesh.watch import watch

SERVICE = "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{ports: [{{name: http, port: {port}}}]}}\n"
DEADLINE = 10


def write(folder: Path, name: str, *services: str, port: int = 80) -> Path:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("---\n".join(SERVICE.format(name=service, port=port) for service in services), encoding="utf-8")
    return file


def names(result: LoadResult) -> list[str]:
    return [host.partition(".")[0] for host in result.view.services] if result.view else []


def test_directories_are_read_with_all_below(tmp_path: Path) -> None:
    write(tmp_path, "a.yaml", "a1", "a2")
    write(tmp_path, "deep/er/b.yml", "b")
    write(tmp_path, ".hidden/c.yaml", "c")
    write(tmp_path, ".d.yaml", "d")
    write(tmp_path, "e.yaml~", "e")
    (tmp_path / "f.json").write_text('{"apiVersion":"v1","kind":"Service","metadata":{"name":"f"}}')
    assert names(FileSource([tmp_path]).load()) == ["a1", "a2", "b", "f"]


def test_a_file_given_twice_counts_once(tmp_path: Path) -> None:
    file = write(tmp_path, "a.yaml", "a")
    assert names(FileSource([tmp_path, file]).load()) == ["a"]


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(SERVICE.format(name="a", port=80)))
    result = FileSource(["-"], default_namespace="shop").load()
    assert result.view is not None
    assert list(result.view.services) == ["a.shop.svc.cluster.local"]


def test_unreadable_files_are_findings(tmp_path: Path) -> None:
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00a")
    result = FileSource([tmp_path, tmp_path / "missing.yaml"]).load()
    assert {item.code for item in result.findings} == {"WV0105"}
    assert {Path(item.file).name for item in result.findings} == {"binary.yaml", "missing.yaml"}
    assert (result.view, result.accepted) == (None, False)


def test_a_bad_file_refuses_but_hides_nothing(tmp_path: Path) -> None:
    write(tmp_path, "good.yaml", "a")
    write(tmp_path, "bad.yaml", "b", port=0)
    (tmp_path / "broken.yaml").write_text("a: [")
    source = FileSource([tmp_path])
    result = source.load()
    assert [(Path(item.file).name, item.code, item.line) for item in result.findings] == [
        ("bad.yaml", "IST0106", 4),
        ("broken.yaml", "WV0101", 1),
    ]
    assert result.view is None
    assert source.line(result.findings[0].file, 4).endswith("port: 0}]}")
    assert source.line(result.findings[0].file, 99) == source.line("nowhere", 1) == ""


def test_a_reload_decodes_only_what_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "a.yaml", "a")
    write(tmp_path, "b.yaml", "b")
    source = FileSource([tmp_path])
    source.load()
    decoded: list[str] = []
    real = files.read_documents
    monkeypatch.setattr(files, "read_documents", lambda text, file: decoded.append(Path(file).name) or real(text, file))
    write(tmp_path, "b.yaml", "c")
    assert names(source.load()) == ["a", "c"]
    assert decoded == ["b.yaml"]


class Watching:
    """A watcher under test: `following()` is its next result, or a failure after the deadline."""

    def __init__(self, results: AsyncIterator[LoadResult]) -> None:
        self._results = results

    async def following(self) -> LoadResult:
        async with asyncio.timeout(DEADLINE):
            return await anext(self._results)

    async def until(self, wanted: Callable[[LoadResult], bool]) -> LoadResult:
        async with asyncio.timeout(DEADLINE):
            async for result in self._results:
                if wanted(result):
                    return result
        raise AssertionError("the watcher ended")


def watching(source: FileSource, body: Callable[[Watching], Awaitable[None]]) -> None:
    async def run() -> None:
        results = watch(source, SystemClock())
        try:
            await body(Watching(results))
        finally:
            await results.aclose()  # type: ignore[attr-defined]

    asyncio.run(run())


def test_an_edit_is_seen_and_a_bad_one_keeps_the_view(tmp_path: Path) -> None:
    file = write(tmp_path, "mesh/a.yaml", "a")

    async def body(watcher: Watching) -> None:
        first = await watcher.following()
        assert (names(first), first.accepted) == (["a"], True)
        write(tmp_path, "mesh/a.yaml", "b")
        assert names(await watcher.following()) == ["b"]
        file.write_text("a: [", encoding="utf-8")
        bad = await watcher.until(lambda result: not result.accepted)
        assert (names(bad), [item.code for item in bad.findings]) == (["b"], ["WV0101"])
        write(tmp_path, "mesh/a.yaml", "c")
        good = await watcher.until(lambda result: result.accepted)
        assert (names(good), good.findings) == (["c"], ())
        write(tmp_path, "mesh/new/d.yaml", "d")
        assert names(await watcher.until(lambda result: "d" in names(result))) == ["c", "d"]
        (tmp_path / "mesh/new/d.yaml").unlink()
        assert names(await watcher.until(lambda result: "d" not in names(result))) == ["c"]

    watching(FileSource([tmp_path / "mesh"]), body)


def test_an_editor_that_renames_over_the_file_is_seen(tmp_path: Path) -> None:
    file = write(tmp_path, "a.yaml", "a")

    async def body(watcher: Watching) -> None:
        assert names(await watcher.following()) == ["a"]
        for name in ("b", "c"):
            write(tmp_path, ".a.yaml.swp", name).replace(file)
            assert names(await watcher.until(lambda result, name=name: names(result) == [name])) == [name]

    watching(FileSource([file]), body)


def test_other_files_wake_nobody(tmp_path: Path) -> None:
    source = FileSource([write(tmp_path, "a.yaml", "a")])
    assert source.is_watched(str(tmp_path / "a.yaml"))
    assert not source.is_watched(str(tmp_path / "b.yaml"))
    tree = FileSource([tmp_path])
    assert tree.is_watched(str(tmp_path / "deep" / "b.yml"))
    assert not tree.is_watched(str(tmp_path / ".git" / "b.yml"))
    (tmp_path / "b.txt").touch()
    assert not tree.is_watched(str(tmp_path / "b.txt"))
    (tmp_path / "new").mkdir()
    (tmp_path / ".git").mkdir()
    assert tree.is_watched(str(tmp_path / "new"))
    assert not tree.is_watched(str(tmp_path / ".git"))


def test_files_and_directories_together(tmp_path: Path) -> None:
    file = write(tmp_path, "one/a.yaml", "a")
    write(tmp_path, "two/b.yaml", "b")

    async def body(watcher: Watching) -> None:
        assert names(await watcher.following()) == ["a", "b"]
        write(tmp_path, "two/b.yaml", "c")
        assert names(await watcher.until(lambda result: "c" in names(result))) == ["a", "c"]
        write(tmp_path, "one/a.yaml", "d")
        assert names(await watcher.until(lambda result: "d" in names(result))) == ["c", "d"]

    watching(FileSource([file, tmp_path / "two"]), body)


def test_the_first_load_may_be_bad(tmp_path: Path) -> None:
    write(tmp_path, "a.yaml", "a", port=0)

    async def body(watcher: Watching) -> None:
        first = await watcher.following()
        assert (first.view, first.accepted) == (None, False)
        write(tmp_path, "a.yaml", "a")
        assert names(await watcher.until(lambda result: result.accepted)) == ["a"]

    watching(FileSource([tmp_path]), body)


def test_a_watcher_of_standard_input_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(SERVICE.format(name="a", port=80)))

    async def body(watcher: Watching) -> None:
        assert names(await watcher.following()) == ["a"]
        with pytest.raises(StopAsyncIteration):
            await watcher.following()

    watching(FileSource(["-"]), body)
