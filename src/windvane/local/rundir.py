"""A mesh's run directory: its store, logs, editable YAML and generated files, one mesh at a time.

DIR/mesh/        the scenario's Istio YAML, to be edited (`demo` only)
DIR/data/        the server's store and the certificate authority's key
DIR/logs/        one log a process
DIR/envoy/       each sidecar's bootstrap
DIR/placement.json, emulator.json, traffic.json
"""

from __future__ import annotations

import fcntl
import shutil
from importlib import resources
from pathlib import Path

from windvane.kit.errors import BadInputError, ConflictError
from windvane.local.claims import FILE, Claims


def scenarios() -> list[str]:
    """Names of the scenarios that come with the program."""
    root = resources.files("windvane.local").joinpath("scenarios")
    return sorted(entry.name for entry in root.iterdir() if entry.joinpath("mesh").is_dir())


def copy_scenario(name: str, run_dir: Path, *, fresh: bool = False) -> tuple[Path, Path]:
    """Put a scenario's files into a run directory, keeping those already there unless `fresh`.

    Returns the mesh directory and the traffic profile. BadInputError names the scenarios there are.
    """
    if name not in scenarios():
        raise BadInputError(f"no scenario {name!r} (there is: {', '.join(scenarios())})")
    root = resources.files("windvane.local").joinpath("scenarios", name)
    mesh, profile = run_dir / "mesh", run_dir / "traffic.yaml"
    if fresh or not mesh.exists():
        shutil.rmtree(mesh, ignore_errors=True)
        mesh.mkdir(parents=True)
        for entry in root.joinpath("mesh").iterdir():
            (mesh / entry.name).write_bytes(entry.read_bytes())
        profile.write_bytes(root.joinpath("traffic.yaml").read_bytes())
    return mesh, profile


def scenario_claims(name: str) -> Claims:
    """What a scenario claims to show. BadInputError for an unknown one, and for one that claims nothing."""
    if name not in scenarios():
        raise BadInputError(f"no scenario {name!r} (there is: {', '.join(scenarios())})")
    with resources.as_file(resources.files("windvane.local").joinpath("scenarios", name, FILE)) as file:
        if not file.exists():
            raise BadInputError(f"the scenario {name!r} claims nothing")
        return Claims.load(file)


class RunDir:
    """A run directory held by this process until `close` (or its end)."""

    def __init__(self, path: Path) -> None:
        """ConflictError when another mesh holds it."""
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.path = path.resolve()
        self._lock = (path / "lock").open("a")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            raise ConflictError(f"{path} is in use by another mesh (choose another with --run-dir)") from None

    @classmethod
    def first_free(cls, base: Path) -> RunDir:
        """`base` or, when it is in use, the first free one of `base-2`, `base-3`, …"""
        for number in range(2, 100):
            try:
                return cls(base if number == 2 else base.with_name(f"{base.name}-{number - 1}"))
            except ConflictError:
                continue
        return cls(base)

    def close(self) -> None:
        self._lock.close()
