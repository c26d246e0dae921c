"""How to reach a Kubernetes API server: from inside the cluster, by a kubeconfig file, or by a URL."""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from windvane.ingest.scrape.client_config import Authorization, BasicAuth, ClientConfig, TlsConfig
from windvane.ingest.scrape.discovery_config import KubernetesDiscovery
from windvane.ingest.scrape.yaml_lines import parse
from windvane.kit.errors import BadInputError, UnavailableError

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


@dataclass(frozen=True, slots=True)
class Connection:
    """Base URL of the API server, how to talk to it, and the namespace Windvane is in ('' if none)."""

    url: str
    client: ClientConfig
    namespace: str = ""


def connection(config: KubernetesDiscovery, account: Path = ACCOUNT) -> Connection:
    """What the configuration says, or where this program runs. `UnavailableError` outside a cluster."""
    own = _own_namespace(account)
    if config.kubeconfig_file:
        return from_kubeconfig(Path(config.kubeconfig_file))
    if config.api_server:
        fields = {name: getattr(config, name) for name in ClientConfig.model_fields}
        return Connection(config.api_server.rstrip("/"), ClientConfig.model_construct(**fields), own)
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST", ""), os.environ.get("KUBERNETES_SERVICE_PORT", "")
    if not host or not port:
        raise UnavailableError(
            "not inside a cluster (KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set): "
            "give api_server or kubeconfig_file"
        )
    client = ClientConfig(
        authorization=Authorization(credentials_file=str(account / "token")),
        tls_config=TlsConfig(ca_file=str(account / "ca.crt")),
    )
    return Connection(f"https://{f'[{host}]' if ':' in host else host}:{port}", client, own)


def _own_namespace(account: Path) -> str:
    try:
        return (account / "namespace").read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def from_kubeconfig(file: Path) -> Connection:
    """The current context of a kubeconfig file. `BadInputError` names what is missing in it."""
    try:
        said = parse(file.read_text(encoding="utf-8"), str(file)).value
    except OSError as error:
        raise UnavailableError(f"kubeconfig {file}: {error.strerror}") from None
    if not isinstance(said, Mapping):
        raise BadInputError(f"kubeconfig {file}: a mapping was expected")
    context = _named(file, said, "context", str(said.get("current-context") or ""))
    cluster = _named(file, said, "cluster", str(context.get("cluster") or ""))
    user = _named(file, said, "user", str(context.get("user") or "")) if context.get("user") else {}
    if "exec" in user or "auth-provider" in user:
        raise BadInputError(f"kubeconfig {file}: credentials of a plugin (exec, auth-provider) are not supported")
    server = str(cluster.get("server") or "").rstrip("/")
    if not server:
        raise BadInputError(f"kubeconfig {file}: the cluster has no server")
    return Connection(server, _client(file, cluster, user), str(context.get("namespace") or ""))


def _named(file: Path, said: Mapping[str, Any], kind: str, name: str) -> Mapping[str, Any]:
    for one in said.get(f"{kind}s") or []:
        if isinstance(one, Mapping) and one.get("name") == name and isinstance(one.get(kind), Mapping):
            found: Mapping[str, Any] = one[kind]
            return found
    raise BadInputError(f"kubeconfig {file}: there is no {kind} {name!r}")


def _client(file: Path, cluster: Mapping[str, Any], user: Mapping[str, Any]) -> ClientConfig:
    def place(name: object) -> str:
        return str(file.parent / str(name)) if name else ""

    tls = TlsConfig(
        ca=_decoded(file, cluster.get("certificate-authority-data")),
        ca_file=place(cluster.get("certificate-authority")),
        cert=_decoded(file, user.get("client-certificate-data")),
        cert_file=place(user.get("client-certificate")),
        key=_decoded(file, user.get("client-key-data")),
        key_file=place(user.get("client-key")),
        server_name=str(cluster.get("tls-server-name") or ""),
        insecure_skip_verify=str(cluster.get("insecure-skip-tls-verify")).lower() == "true",
    )
    token, token_file = str(user.get("token") or ""), place(user.get("tokenFile"))
    if user.get("username"):
        basic = BasicAuth(username=str(user["username"]), password=str(user.get("password") or ""))
        return ClientConfig(basic_auth=basic, tls_config=tls)
    if token or token_file:
        bearer = Authorization(credentials=token, credentials_file="" if token else token_file)
        return ClientConfig(authorization=bearer, tls_config=tls)
    return ClientConfig(tls_config=tls)


def _decoded(file: Path, data: object) -> str:
    if not data:
        return ""
    try:
        return base64.b64decode(str(data)).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise BadInputError(f"kubeconfig {file}: certificate data are not base64 of PEM") from None
