"""The bundle: its digest covers every byte, and what is not as sealed is refused by name."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from nightreel.bundle.format import BundleError, digest_of, parse_manifest, seal, verify
from tests.support.bundles import reseal, write_bundle


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sealed") / "bundle"
    write_bundle(folder)
    return folder


@pytest.fixture
def bundle(sealed: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sealed, tmp_path / "bundle"))


def test_the_same_content_gives_the_same_digest(bundle: Path, tmp_path: Path) -> None:
    assert write_bundle(tmp_path / "again") == digest_of(bundle) == verify(bundle).digest
    assert write_bundle(tmp_path / "other", seed=1) != digest_of(bundle)


def test_the_manifest_names_every_file_with_its_hash_size_type_and_shape(bundle: Path) -> None:
    manifest = verify(bundle)
    on_disk = {p.relative_to(bundle).as_posix() for p in bundle.rglob("*") if p.is_file()} - {"manifest.json"}
    assert set(manifest.files) == on_disk
    vectors = manifest.files["vectors.npy"]
    assert (vectors["dtype"], vectors["shape"]) == ("<f4", [30, 16])
    assert vectors["size"] == (bundle / "vectors.npy").stat().st_size
    assert manifest.config == json.loads((bundle / "config.json").read_text())


def test_the_config_is_in_the_digest_and_the_lineage_is_not(bundle: Path) -> None:
    before = digest_of(bundle)
    (bundle / "lineage.json").write_text('{"published_at": "now"}')
    assert verify(bundle, before).digest == reseal(bundle) == before
    config = json.loads((bundle / "config.json").read_text())
    assert seal(bundle, config | {"name": "other"}) != before


def test_every_file_cut_or_flipped_in_turn_is_refused_by_name(bundle: Path) -> None:
    for name in verify(bundle).files:
        path = bundle / name
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(BundleError, match=f"{name}: has .* incomplete"):
            verify(bundle)
        path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        with pytest.raises(BundleError, match=f"{name}: was changed"):
            verify(bundle)
        path.unlink()
        with pytest.raises(BundleError, match=f"{name}: not found"):
            verify(bundle)
        path.write_bytes(whole)
    verify(bundle)


def test_a_manifest_cut_missing_or_of_another_version_is_refused(bundle: Path) -> None:
    digest, path = digest_of(bundle), bundle / "manifest.json"
    whole = json.loads(path.read_text())
    path.write_text(json.dumps(whole)[:-20])
    with pytest.raises(BundleError, match=r"manifest\.json: is truncated"):
        verify(bundle)
    path.write_text(json.dumps(whole | {"format": 2}))
    with pytest.raises(BundleError, match="has format 2; this Nightreel reads format 1"):
        verify(bundle)
    path.write_text(json.dumps(whole | {"config": {}}))
    with pytest.raises(BundleError, match=f"its digest is not {digest}"):
        verify(bundle, digest)
    path.unlink()
    with pytest.raises(BundleError, match="not a complete bundle"):
        verify(bundle)


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "a/../../b", "manifest.json", ".hidden"])
def test_a_manifest_can_not_point_out_of_its_folder(name: str) -> None:
    entry = {"sha256": "0" * 64, "size": 1}
    content = json.dumps({"format": 1, "files": {name: entry}, "config": {}}).encode()
    with pytest.raises(BundleError, match="not a bundle manifest"):
        parse_manifest(content, "here")


def test_a_file_that_nobody_sealed_is_refused(bundle: Path) -> None:
    (bundle / "engine" / "extra.npy").write_bytes(b"x")
    with pytest.raises(BundleError, match=r"engine/extra\.npy: is not in the bundle's manifest"):
        verify(bundle)


def test_formats_that_can_hold_code_are_never_sealed(bundle: Path) -> None:
    (bundle / "model.pkl").write_bytes(b"x")
    with pytest.raises(BundleError, match=r"model\.pkl: \.pkl files can contain code"):
        reseal(bundle)
    assert not (bundle / "manifest.json").exists()
    (bundle / "model.pkl").unlink()
    np.save(bundle / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(BundleError, match=r"objects\.npy: is not a plain array"):
        reseal(bundle)
