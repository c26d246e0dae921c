"""The certificates in use: one for each proxy, replaced when their time comes."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from windvane.kit.clock import Clock
from windvane.mesh.view import MeshWorkload
from windvane.xds.ca import CertificateAuthority, WorkloadCertificate, identity_of
from windvane.xds.resources import Resource
from windvane.xds.secrets import secrets


class Certificates:
    """Issues a proxy's certificate when it is first asked for, when it is due, or when its identity changed."""

    def __init__(self, authority: CertificateAuthority, clock: Clock) -> None:
        self._authority, self._clock = authority, clock
        self._issued: dict[str, tuple[WorkloadCertificate, list[Resource]]] = {}
        self._changed = asyncio.Event()

    def secrets(self, workload: MeshWorkload, trust_domain: str) -> list[Resource]:
        """The SDS resources of a workload's proxy; the same until its certificate is replaced."""
        identity, held = identity_of(workload, trust_domain), self._issued.get(workload.key)
        if held is None or held[0].identity != identity or held[0].renew_ns <= self._clock.now_ns():
            certificate = self._authority.issue(identity)
            held = (certificate, secrets(certificate, self._authority.root_pem))
            self._issued[workload.key] = held
            self._changed.set()
        return held[1]

    def forget_all_but(self, keys: Collection[str]) -> None:
        """Drop certificates of proxies that are gone."""
        self._issued = {key: held for key, held in self._issued.items() if key in keys}

    async def next_renewal(self) -> None:
        """Return when a certificate is due."""
        while (due := self._due()) is None or due > self._clock.now_ns():
            self._changed.clear()
            if due is None:
                await self._changed.wait()
            else:
                # A certificate issued meanwhile may be due earlier: look again at least this often.
                await self._clock.sleep(min((due - self._clock.now_ns()) / 1e9, 60.0))

    def _due(self) -> int | None:
        return min((certificate.renew_ns for certificate, _ in self._issued.values()), default=None)
