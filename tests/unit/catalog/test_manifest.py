"""The manifest is written as its page says and read back as it was."""

import json
from pathlib import Path

import attrs
import catalog_samples as samples
import jsonschema
import pytest

from kbackup.catalog import Manifest, ManifestError, ManifestObject

SCHEMAS = Path(__file__).parents[3] / "docs" / "formats" / "schemas"


def whole():
    """Return a manifest with all its parts."""
    return samples.manifest_of(
        backup_name="shop",
        backup_uid="u",
        record_sha256="0" * 64,
        writer_version="1.0",
        objects=[ManifestObject(name="shop.tar.gz", size=7, sha256="a" * 64)],
    )


def test_round_trip():
    """What is written is read back equal."""
    assert Manifest.decode(whole().encode()) == whole()


def test_keys_are_sorted():
    """The document is the same bytes for the same manifest, keys in order."""
    text = whole().encode().decode()

    assert json.dumps(json.loads(text), sort_keys=True, indent=1) + "\n" == text


def test_unknown_keys_are_ignored():
    """A later minor version may add keys anywhere."""
    data = whole().to_json()
    data["later"] = {"x": 1}
    data["objects"][0]["later"] = True

    assert Manifest.from_json(data) == whole()


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("apiVersion", "kbackup.io/v2", "expected kbackup.io/v1"),
        ("kind", "Manifest", "expected BackupManifest"),
        ("objects", {"a": 1}, "objects: expected list"),
        ("objects", [{"name": "../x", "sha256": "a" * 64}], "without a name"),
        ("objects", [{"name": "x", "sha256": "zz"}], "or a digest"),
        ("objects", [{"name": "..", "sha256": "a" * 64}], "without a name"),
        ("objects", [{"name": "x", "size": -1, "sha256": "a" * 64}], "a size"),
        ("objects", [{"name": "x", "sha256": "a" * 64}] * 2, "named twice"),
        ("lists", [{"startedAt": "0001-01-01T00:00:00+14:00"}], "startedAt"),
        ("archive", {"items": "2"}, "archive.items: expected int"),
        ("archive", {"items": True}, "archive.items: expected int"),
        ("lists", [{"startedAt": "yesterday"}], "startedAt"),
        ("backup", [], None),
    ],
)
def test_wrong_documents(key, value, words):
    """Another major version and values of wrong types are refused by path."""
    data = {**whole().to_json(), key: value}

    if words is None:
        assert Manifest.from_json(data).backup_name == ""
        return
    with pytest.raises(ManifestError, match=words):
        Manifest.from_json(data)


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b"{", b"[" * 100_000])
def test_garbage(content):
    """What is no JSON object is refused."""
    with pytest.raises(ManifestError):
        Manifest.decode(content)


def test_consistency_follows_from_the_lists():
    """A manifest is consistent only if every list was exact."""
    (first,) = whole().lists
    drifted = attrs.evolve(whole(), lists=[first, attrs.evolve(first, exact=False)])

    assert whole().consistent
    assert not drifted.consistent


def test_lines():
    """Gaps, volumes and references tell themselves in one line."""
    (gap,), (volume,), (reference,) = (
        whole().not_covered,
        whole().volumes,
        whole().missing,
    )

    assert str(gap) == "pods in shop: forbidden"
    assert str(volume) == "shop/data (volume pv-1): data none"
    assert str(reference) == (
        "persistentvolumeclaims/shop/data refers to storageclasses.storage.k8s.io/fast"
    )


def test_manifest_fits_its_schema():
    """What we write fits the published schema."""
    schema = json.loads((SCHEMAS / "manifest.json").read_text())

    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(json.loads(whole().encode()), schema)


def test_claims_and_journals_fit_their_schemas(store, objects, root):
    """The private documents fit their schemas as well."""
    with store.claim("shop", run_uid="u-1"):
        claim = json.loads((root / "plugins/kbackup.io/claims/shop.json").read_bytes())
    with store.claim_restore("shop", run_uid="u-1"):
        path = root / "plugins/kbackup.io/restore-claims/shop.json"
        restore_claim = json.loads(path.read_bytes())
    store.journal("u-1").append({"n": 1})
    path = root / "plugins/kbackup.io/journal/u-1/00000000.json"

    for name, document in (
        ("claim", claim),
        ("claim", restore_claim),
        ("journal", json.loads(path.read_text())),
    ):
        schema = json.loads((SCHEMAS / f"{name}.json").read_text())
        jsonschema.Draft202012Validator.check_schema(schema)
        jsonschema.validate(document, schema)
