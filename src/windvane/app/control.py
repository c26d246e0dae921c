"""The mesh in the server: follows its files and its placement, feeds the control plane and telemetry.

The last accepted view stays in force while an edit is refused; what was found is kept for the
status page. A server that starts on files that are refused runs without a view until they are
mended: proxies keep the configuration they have.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from watchfiles import Change, awatch

from windvane.app.directory import directory_of
from windvane.ingest.istio_metrics import Directory
from windvane.kit.clock import Clock
from windvane.local.patches import idle_patches
from windvane.mesh.build import MeshIdentity
from windvane.mesh.checks.wasm import local_modules
from windvane.mesh.files import FileSource, LoadResult
from windvane.mesh.findings import Finding, finding
from windvane.mesh.placement import Placement
from windvane.mesh.view import MeshView
from windvane.mesh.watch import watch
from windvane.mesh.written import Written
from windvane.rollout.folder import findings as canary_findings
from windvane.xds.server import ControlPlane

log = logging.getLogger(__name__)


class MeshControl:
    """What the server knows of the mesh it was given; `plane` is None where no sidecars are served."""

    def __init__(
        self,
        files: tuple[Path, ...],
        placement: Path | None,
        identity: MeshIdentity,
        clock: Clock,
        plane: ControlPlane | None = None,
    ) -> None:
        also = (idle_patches, local_modules) if placement is not None else (idle_patches,)
        self._source = FileSource(
            files, identity, implied_gateways=placement is not None, also=also, readers=(canary_findings,)
        )
        self._placement_file = placement
        self._clock = clock
        self.plane = plane
        self.result = LoadResult(None)
        self.placement = Placement()
        self.loaded = asyncio.Event()
        """Set after the first load, whatever it found."""
        self.loaded_at: float | None = None
        """When the view in force was loaded, seconds since the epoch."""
        self.written: tuple[Written, ...] = ()
        """The resources of the newest load, refused ones too."""
        self.texts: dict[str, str] = {}
        """The text of every file as it was then."""
        self.observer: Callable[[MeshView, tuple[Written, ...]], None] = lambda *_: None
        """Told when a configuration has taken effect."""
        self.loaded_also: Callable[[], None] = lambda: None
        """Told after every load, also one that was refused: for whoever reads what is beside the mesh's own."""
        self.also_found: Callable[[], Sequence[Finding]] = tuple
        """What others find wrong with documents of theirs among the mesh's files."""
        self._directory = Directory()

    @property
    def view(self) -> MeshView | None:
        """The view in force."""
        return self.result.view

    def findings(self) -> list[Finding]:
        """What is wrong with the files, and keys that cannot be fetched at present."""
        return [*self.result.findings, *self._keys_missing(), *self.also_found()]

    def directory(self) -> Directory:
        """Names for telemetry, of the view in force."""
        return self._directory

    def file_texts(self) -> dict[str, str]:
        """The text of every file as it was last read, also where that made no other configuration."""
        return self._source.texts()

    @property
    def roots(self) -> tuple[Path, ...]:
        """The files and directories of the mesh."""
        return tuple(Path(path) for path in self._source.paths)

    def load_texts(self, texts: Mapping[str, str]) -> LoadResult:
        """What this mesh would be with these files; nothing takes effect."""
        source = self._source
        return FileSource((), source.identity, implied_gateways=source.implied_gateways).load_texts(texts)

    async def run(self) -> None:
        """Follow files and placement until cancelled."""
        self._read_placement()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow_files())
            if self._placement_file is not None:
                group.create_task(self._follow_placement(self._placement_file))

    async def _follow_files(self) -> None:
        async for result in watch(self._source, self._clock):
            if result.accepted:
                self.loaded_at = self._clock.now_ns() / 1e9
            self.result, self.written, self.texts = result, self._source.written(), self._source.texts()
            if result.accepted and result.view is not None:
                self.observer(result.view, self.written)
            for found in result.findings:
                log.log(logging.WARNING if found.refuses else logging.INFO, "mesh: %s", found)
            if not result.accepted:
                log.warning("mesh: the edit is refused; the configuration before it stays in force")
            self._publish()
            self.loaded_also()
            self.loaded.set()

    async def _follow_placement(self, file: Path) -> None:
        def is_ours(_: Change, path: str) -> bool:
            return Path(path).name == file.name

        # Not recursive: the store's own files may be below, and they change all the time.
        async for _ in awatch(file.parent, watch_filter=is_ours, debounce=20, recursive=False):
            self._read_placement()
            self._publish()

    def _read_placement(self) -> None:
        if self._placement_file is None or not self._placement_file.exists():
            return
        try:
            self.placement = Placement.load(self._placement_file)
        except (json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
            log.warning("placement %s: %s; the one before it stays", self._placement_file, error)

    def _keys_missing(self) -> Iterator[Finding]:
        failing = {each.uri: each for each in self.plane.key_sets() if each.failure} if self.plane else {}
        for item in self.view.request_authentications if self.view and failing else ():
            for index, rule in enumerate(item.spec.jwt_rules):
                status = failing.get(rule.keys_uri)
                if status is not None:
                    kept = "those fetched before stay in force" if status.fetched_ns else "its tokens are refused"
                    words = f"keys of {rule.issuer} cannot be fetched ({kept}): {rule.keys_uri} {status.failure}"
                    path = f"spec.jwtRules[{index}].{'jwksUri' if rule.jwks_uri else 'issuer'}"
                    yield finding("WV0304", words, resource=item.reference, file=item.file, line=item.line, path=path)

    def _publish(self) -> None:
        if self.view is None:
            return
        self._directory = directory_of(self.view, self.placement)
        if self.plane is not None:
            self.plane.update(self.view, self.placement)
