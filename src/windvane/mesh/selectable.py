"""Workloads found by the labels that a selector asks for, without looking at all of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from windvane.mesh.view import MeshView, MeshWorkload


class Selectable:
    """Workloads by namespace and single labels, so that a selector looks at the few that carry its rarest one."""

    def __init__(self, workloads: Iterable[MeshWorkload]) -> None:
        self._carriers: dict[tuple[str, str, str], list[MeshWorkload]] = {}
        for workload in workloads:
            for name, value in workload.labels.items():
                self._carriers.setdefault((workload.namespace, name, value), []).append(workload)

    def select(self, namespace: str, labels: Mapping[str, str]) -> tuple[MeshWorkload, ...]:
        """Workloads of a namespace that carry all the labels; no labels select nothing."""
        groups = [self._carriers.get((namespace, name, value), []) for name, value in labels.items()]
        return tuple(item for item in min(groups, key=len, default=[]) if labels.items() <= item.labels.items())


def chosen(
    view: MeshView, namespace: str, labels: Mapping[str, str], *, everywhere: bool = False
) -> Sequence[MeshWorkload]:
    """The workloads that a policy of a namespace is for; no labels choose all, `everywhere` of all namespaces."""
    spaces = view.derive("workloads by namespace", lambda: _by_namespace(view))
    if not labels:
        return list(view.workloads.values()) if everywhere else spaces.get(namespace, ())
    index = view.derive("selectable workloads", lambda: Selectable(view.workloads.values()))
    names = spaces if everywhere else (namespace,)
    return [workload for name in names for workload in index.select(name, labels)]


def _by_namespace(view: MeshView) -> dict[str, list[MeshWorkload]]:
    found: dict[str, list[MeshWorkload]] = {}
    for workload in view.workloads.values():
        found.setdefault(workload.namespace, []).append(workload)
    return found
