"""The certificate authority: what it signs, how it keeps its root, when it renews."""

from __future__ import annotations

import asyncio
import random
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from windvane.kit.clock import ManualClock
from windvane.kit.errors import BadInputError, ConflictError
from windvane.mesh.view import MeshWorkload
from windvane.xds.ca import CertificateAuthority, spiffe_id
from windvane.xds.certificates import Certificates

HOUR = 3_600.0
WEB = MeshWorkload("web-v1", "shop", {"app": "web"}, {}, "web")


def authority(folder: Path, clock: ManualClock, lifetime: float = 24 * HOUR) -> CertificateAuthority:
    return CertificateAuthority(folder / "ca", clock, lifetime=lifetime, rng=random.Random(7))


def test_a_workload_certificate_is_a_spiffe_svid_signed_by_the_root(tmp_path: Path) -> None:
    clock = ManualClock()
    ca = authority(tmp_path, clock)
    issued = ca.issue(spiffe_id("cluster.local", "shop", "web"))
    leaf, root = x509.load_pem_x509_certificates(issued.chain_pem)
    leaf.verify_directly_issued_by(root)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert names.critical
    assert names.value.get_values_for_type(x509.UniformResourceIdentifier) == ["spiffe://cluster.local/ns/shop/sa/web"]
    assert isinstance(leaf.public_key(), ec.EllipticCurvePublicKey)
    now = datetime.fromtimestamp(clock.now_ns() / 1e9, UTC)
    assert leaf.not_valid_after_utc - now == timedelta(hours=24)
    assert leaf.not_valid_before_utc < now


def test_the_root_and_its_key_are_readable_by_their_owner_alone(tmp_path: Path) -> None:
    authority(tmp_path, ManualClock())
    assert stat.S_IMODE((tmp_path / "ca").stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "ca").iterdir()} == {0o600}


def test_a_restarted_authority_signs_under_the_same_root(tmp_path: Path) -> None:
    clock = ManualClock()
    assert authority(tmp_path, clock).root_pem == authority(tmp_path, clock).root_pem


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    authority(tmp_path, ManualClock())
    (tmp_path / "ca" / "root-key.pem").chmod(0o644)
    with pytest.raises(BadInputError, match=r"root-key.pem can be read by others \(mode 0644\); it must be 0600"):
        authority(tmp_path, ManualClock())


@pytest.mark.parametrize("content", [b"", b"not a key", b"\xff\xfe"])
def test_a_broken_root_is_refused(tmp_path: Path, content: bytes) -> None:
    authority(tmp_path, ManualClock())
    (tmp_path / "ca" / "root-key.pem").write_bytes(content)
    with pytest.raises(BadInputError, match="no usable root in"):
        authority(tmp_path, ManualClock())


def test_a_key_of_another_root_is_refused(tmp_path: Path) -> None:
    authority(tmp_path, ManualClock())
    authority(tmp_path / "other", ManualClock())
    (tmp_path / "ca" / "root-key.pem").write_bytes((tmp_path / "other" / "ca" / "root-key.pem").read_bytes())
    with pytest.raises(BadInputError, match="do not belong together"):
        authority(tmp_path, ManualClock())


def test_an_expired_root_is_refused(tmp_path: Path) -> None:
    clock = ManualClock()
    authority(tmp_path, clock)
    clock.advance(11 * 365 * 24 * HOUR)
    with pytest.raises(ConflictError, match="has expired"):
        authority(tmp_path, clock)


def test_renewal_is_due_around_half_of_the_lifetime_and_not_all_at_once(tmp_path: Path) -> None:
    clock = ManualClock()
    ca = authority(tmp_path, clock)
    shares = {(ca.issue("spiffe://td/ns/a/sa/b").renew_ns - clock.now_ns()) / (24 * HOUR * 1e9) for _ in range(50)}
    assert 0.4 <= min(shares) < 0.45 < 0.55 < max(shares) <= 0.6


def test_a_certificate_is_kept_until_due_and_then_replaced(tmp_path: Path) -> None:
    async def scenario() -> None:
        clock = ManualClock()
        held = Certificates(authority(tmp_path, clock), clock)
        first = held.secrets(WEB, "cluster.local")
        assert held.secrets(WEB, "cluster.local") is first
        renewal = asyncio.create_task(held.next_renewal())
        await asyncio.sleep(0)
        clock.advance(9 * HOUR)
        await asyncio.sleep(0)
        assert not renewal.done()
        clock.advance(6 * HOUR)
        await renewal
        second = held.secrets(WEB, "cluster.local")
        assert second[0].digest != first[0].digest
        assert second[1].digest == first[1].digest, "the root stays"

    asyncio.run(scenario())


def test_a_changed_identity_gets_a_new_certificate(tmp_path: Path) -> None:
    clock = ManualClock()
    held = Certificates(authority(tmp_path, clock), clock)
    first = held.secrets(WEB, "cluster.local")
    assert held.secrets(WEB, "other.domain")[0].digest != first[0].digest
