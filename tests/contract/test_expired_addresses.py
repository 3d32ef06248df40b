"""A signed address is refused when its time is over: each is signed some hours ago."""

from __future__ import annotations

import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta

import pytest

from kbackup_plugins_aws import open_s3_store
from kbackup_plugins_azure import open_blob_store
from kbackup_plugins_gcp import open_gcs_store

KEY = "backups/b/b.tar.gz"
HOUR = timedelta(hours=1)


def fetch(url):
    """What an address serves; a refusal is told by its status."""
    try:
        with urllib.request.urlopen(url) as answer:  # noqa: S310 - our own server
            return answer.read()
    except urllib.error.HTTPError as exc:
        with exc:
            return exc.code


def ago(hours):
    """A function that tells the time some hours ago, however it is asked."""
    return lambda zone=UTC: datetime.now(zone) - hours * HOUR


@pytest.mark.parametrize(("hours", "served"), [(0.5, b"archive"), (2, 403)])
def test_s3(s3_server, s3_bucket, monkeypatch, hours, served):
    """An address for an hour is served for an hour."""
    store = open_s3_store(s3_server.config(s3_bucket))
    store.put(KEY, b"archive")
    monkeypatch.setattr("botocore.auth.get_current_datetime", ago(hours))

    url = store.signed_url(KEY, HOUR)

    assert fetch(url) == served
    store.close()


@pytest.fixture
def signing(gcs_server, gcs_bucket, key_file):
    """A store of Cloud Storage that signs by a key of its own."""
    config = gcs_server.config(gcs_bucket, credentialsFile=key_file)
    store = open_gcs_store(config)
    yield store
    store.close()


@pytest.mark.parametrize(("hours", "served"), [(0.5, b"archive"), (2, 403)])
def test_gcs(signing, monkeypatch, hours, served):
    """An address for an hour is served for an hour."""
    signing.put(KEY, b"archive")
    monkeypatch.setattr("google.cloud.storage._signing._NOW", ago(hours))

    url = signing.signed_url(KEY, HOUR)

    assert fetch(url) == served


@pytest.mark.parametrize(("minutes", "served"), [(30, b"archive"), (-5, 403)])
def test_azure(azurite, container, minutes, served):
    """An address is served until its end; it begins ten minutes before it is signed."""
    store = open_blob_store(azurite.config(container))
    store.put(KEY, b"archive")

    url = store.signed_url(KEY, timedelta(minutes=minutes))

    assert fetch(url) == served
    store.close()
