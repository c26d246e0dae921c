"""The arguments of commands that read Istio YAML: files, directories or standard input, and namespaces."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import click

from windvane.kit.errors import BadInputError
from windvane.local.patches import idle_patches
from windvane.mesh.build import MeshIdentity
from windvane.mesh.checks.wasm import local_modules
from windvane.mesh.files import FileSource
from windvane.mesh.findings import Finding
from windvane.mesh.view import MeshView
from windvane.mesh.written import Written

_UNREAD = ("WV0106", "WV0107")
"""Charts and kustomizations that were left out."""
Command = TypeVar("Command", bound=Callable[..., Any])

_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.option(
        "--namespace", "-n", default="default", show_default=True, help="Namespace of objects that name none."
    ),
    click.option("--root-namespace", default="istio-system", show_default=True, help="Istio's root namespace."),
    click.option(
        "--mesh-config",
        type=click.Path(exists=True, dir_okay=False),
        default=None,
        help="A file of Istio's MeshConfig, where FILES have no IstioOperator or ConfigMap istio with it.",
    ),
)


def mesh_files(command: Command) -> Command:
    """Add the arguments, as `paths`, `namespace`, `root_namespace` and `mesh_config`."""
    return _with_paths(command, required=True)


def optional_mesh_files(command: Command) -> Command:
    """The same for a command that also works without files."""
    return _with_paths(command, required=False)


def namespace_options(command: Command) -> Command:
    """Add `namespace`, `root_namespace` and `mesh_config` alone."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def _with_paths(command: Command, *, required: bool) -> Command:
    command = namespace_options(command)
    return click.argument("paths", nargs=-1, required=required, metavar="FILES|DIR|-")(command)


def mesh_source(
    paths: tuple[str, ...], namespace: str, root_namespace: str, mesh_config: str | None = None
) -> FileSource:
    """What the arguments name."""
    identity = MeshIdentity(root_namespace=root_namespace)
    return FileSource(paths, identity, namespace, mesh_config=mesh_config, also=(idle_patches,), readers=(_canaries,))


def _canaries(documents: Sequence[Written], texts: Mapping[str, str]) -> Iterable[Finding]:
    """What is wrong with Canaries; who judges them is loaded where there is one."""
    if not any(one.kind in ("Canary", "Experiment") for one in documents):
        return ()
    from windvane.rollout.folder import findings  # noqa: PLC0415

    return findings(documents, texts)


def load_view(paths: tuple[str, ...], namespace: str, root_namespace: str, mesh_config: str | None = None) -> MeshView:
    """The mesh of the arguments as it would run here; `BadInputError` with every finding that refuses it."""
    source = mesh_source(paths, namespace, root_namespace, mesh_config)
    source.implied_gateways = True
    source.also = (*source.also, local_modules)
    result = source.load()
    if result.view is None:
        wrong = "\n".join(f"  {item}" for item in result.findings if item.refuses)
        raise BadInputError(f"the configuration is not valid:\n{wrong}")
    unread = [item for item in result.findings if item.code in _UNREAD]
    if unread and not (result.view.services or result.view.workloads or result.view.virtual_services):
        raise BadInputError("nothing was read:\n" + "\n".join(f"  {item}" for item in unread))
    for item in unread:
        click.echo(f"note: {item}", err=True)
    return result.view
