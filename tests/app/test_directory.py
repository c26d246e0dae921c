"""What the control plane tells metrics of a mesh."""

from __future__ import annotations

from pathlib import Path

from windvane.app.directory import directory_of
from windvane.ingest.istio_labels import Changes
from windvane.local.placement import imagined_placement
from windvane.mesh.files import FileSource

MESH = """
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: web, namespace: shop}
spec: {labels: {app: web}}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: api, namespace: other}
spec: {labels: {app: api}}
---
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {name: default, namespace: shop}
spec:
  metrics:
    - overrides:
        - match: {metric: ALL_METRICS, mode: CLIENT}
          tagOverrides: {source_principal: {operation: REMOVE}, source_app: {operation: REMOVE}}
        - tagOverrides: {source_app: {value: "'web'"}}
        - {match: {mode: SERVER}, disabled: true}
        - {match: {metric: REQUEST_SIZE}, disabled: true}
"""


def test_overrides_of_all_metrics_are_told_by_proxy_and_side(tmp_path: Path) -> None:
    file = tmp_path / "mesh.yaml"
    file.write_text(MESH, encoding="utf-8")
    view = FileSource([file]).load().view
    assert view is not None
    changes = directory_of(view, imagined_placement(view)).changes
    told = {(node.split("~")[2], side): made for (node, side), made in changes.items()}
    assert told == {
        ("web.shop", "source"): Changes(labels=frozenset(("source_principal",))),
        ("web.shop", "destination"): Changes(silent=True),
    }
