"""Istio's validation of WasmPlugin, and whether its module can be run on this machine."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path as FilePath
from urllib.parse import urlsplit

from windvane.mesh.checks.attachment import check_targets
from windvane.mesh.checks.common import Problem, check_labels, check_port, doubtful, invalid, repeated
from windvane.mesh.decode import Loaded
from windvane.mesh.findings import Finding
from windvane.mesh.models.wasm import EnvVar, WasmPlugin
from windvane.mesh.view import MeshView
from windvane.mesh.yaml_source import Path

_SCHEMES = ("", "file", "http", "https", "oci")
_SHA256 = re.compile(r"[a-f0-9]{64}")


def check_wasm_plugin(item: WasmPlugin) -> Iterator[Problem]:
    """Everything that makes Istio refuse a WasmPlugin."""
    spec = item.spec
    if spec.selector is not None:
        yield from check_labels(("spec", "selector", "matchLabels"), spec.selector.match_labels)
    yield from check_targets(spec)
    yield from _check_url(("spec", "url"), spec.url)
    if spec.sha256 and not _SHA256.fullmatch(spec.sha256):
        yield invalid(("spec", "sha256"), "sha256 field must be 64 hexadecimal digits in lower case")
    for index, variable in enumerate(spec.vm_config.env if spec.vm_config else ()):
        yield from _check_variable(("spec", "vmConfig", "env", index), variable)
    for index, name in repeated(variable.name for variable in (spec.vm_config.env if spec.vm_config else ())):
        yield invalid(("spec", "vmConfig", "env", index, "name"), f"duplicate env {name!r}")
    for index, match in enumerate(spec.match):
        for number, port in enumerate(match.ports):
            yield from check_port(("spec", "match", index, "ports", number, "number"), port.number)
        for number, _ in repeated(port.number for port in match.ports):
            yield invalid(("spec", "match", index, "ports", number, "number"), "the port stands there already")


def _check_url(path: Path, url: str) -> Iterator[Problem]:
    if not url:
        yield invalid(path, "url field needs to be set")
        return
    try:
        parts = urlsplit(url)
    except ValueError as error:
        yield invalid(path, f"failed to parse url: {error}")
        return
    if parts.scheme not in _SCHEMES:
        yield invalid(path, f"url contains unsupported scheme: {parts.scheme}")
    elif parts.scheme == "file" and not url.removeprefix("file://").startswith("/"):
        yield invalid(path, "a file is named by its whole path: file:///path/to/module.wasm")


def _check_variable(path: Path, variable: EnvVar) -> Iterator[Problem]:
    if not variable.name:
        yield invalid((*path, "name"), "env name cannot be empty")
    if variable.value_from == "HOST" and variable.value:
        yield doubtful((*path, "value"), "value is ignored if valueFrom is HOST")


def local_modules(loaded: Sequence[Loaded], _: MeshView) -> Iterator[Finding]:
    """WV0620: modules that cannot be run here, for whoever is about to run them."""
    for item in loaded:
        if isinstance(item.resource, WasmPlugin):
            why, field = _unavailable(item.resource)
            if why:
                yield item.finding("WV0620", why, ("spec", field))


def _unavailable(plugin: WasmPlugin) -> tuple[str, str]:
    """Why the module of a plugin is not to be had, and the field that says so."""
    spec = plugin.spec
    if not spec.file:
        words = f"nothing is fetched for proxies of this machine, and {spec.url} would have to be ({spec.scheme}): "
        return words + "put the module into a file and name it as file:///path/to/module.wasm", "url"
    try:
        content = FilePath(spec.file).read_bytes()
    except OSError as error:
        return f"{spec.file} cannot be read: {error.strerror}", "url"
    found = hashlib.sha256(content).hexdigest()
    if spec.sha256 and spec.sha256 != found:
        return f"the SHA-256 of {spec.file} is {found}", "sha256"
    return "", ""
