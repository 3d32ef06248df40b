"""A namespace and a volume's files there and back through every provider."""

from urllib.parse import urlencode

import pytest

from kbackup.plugins import Capability
from kbackup.stores import validate_object_store
from round_trip import EngineRoundTrip, RoundTrip

PREFIX = "prod/"


def address(scheme, config, prefix=PREFIX):
    """Return the address of a config, with its options as the query."""
    options = dict(config)
    return f"{scheme}://{options.pop('bucket')}/{prefix}?{urlencode(options)}"


class TestS3(RoundTrip):
    """There and back through S3."""

    @pytest.fixture
    def location(self, s3_server, s3_bucket):
        """The address of a place in a bucket."""
        return address("s3", s3_server.config(s3_bucket))

    @pytest.fixture
    def keys(self, s3_client, s3_bucket):
        """What botocore says of the bucket."""

        def look():
            found = s3_client.list_objects_v2(Bucket=s3_bucket).get("Contents", [])
            return [each["Key"].removeprefix(PREFIX) for each in found]

        return look


class TestGCS(RoundTrip):
    """There and back through Cloud Storage."""

    @pytest.fixture
    def location(self, gcs_server, gcs_bucket):
        """The address of a place in a bucket."""
        return address("gs", gcs_server.config(gcs_bucket))

    @pytest.fixture
    def keys(self, gcs_server, gcs_bucket):
        """What the emulator keeps."""
        return lambda: [key.removeprefix(PREFIX) for key in gcs_server.keys(gcs_bucket)]


class TestAzure(RoundTrip):
    """There and back through a container of Azure."""

    @pytest.fixture
    def location(self, azurite, container):
        """The address of a place in a container."""
        return address("az", azurite.config(container))

    @pytest.fixture
    def keys(self, blob_service, container):
        """What the SDK says of the container."""
        client = blob_service.get_container_client(container)
        return lambda: [name.removeprefix(PREFIX) for name in client.list_blob_names()]


class TestSFTP(RoundTrip):
    """There and back through an SFTP server."""

    @pytest.fixture
    def location(self, sftp_config):
        """The address of a directory on the server."""
        options = dict(sftp_config)
        return f"{options.pop('url')}?{urlencode(options)}"

    @pytest.fixture
    def keys(self, tmp_path):
        """What lies in the directory, as the server's machine sees it."""
        root = tmp_path / "there/store"
        return lambda: sorted(
            str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()
        )

    def test_no_directory_is_left(self, kbackup, tmp_path):
        """Empty directories go with the last object of a backup."""
        kbackup("backup", "create", "shop-1", "--include-namespaces", "shop")
        kbackup("backup", "delete", "shop-1", "--yes")

        assert not (tmp_path / "there/store/backups").exists()

    def test_what_it_can_do(self, store):
        """Trying the store out finds it fit, and no more than it says it can do."""
        check = validate_object_store(store)

        assert (check.ok, check.writable) == (True, True)
        assert check.capabilities == {Capability.RANGE}


class TestFTP(RoundTrip):
    """There and back through an FTP server."""

    @pytest.fixture
    def location(self, ftp_config):
        """The address of a directory on the server."""
        options = dict(ftp_config)
        return f"{options.pop('url')}?{urlencode(options)}"


class TestWebDAV(RoundTrip):
    """There and back through a WebDAV server."""

    @pytest.fixture
    def location(self, webdav_config):
        """The address of a directory on the server."""
        options = dict(webdav_config)
        return f"{options.pop('url')}?{urlencode(options)}"


class TestMemory(EngineRoundTrip):
    """There and back through this process's memory."""

    @pytest.fixture
    def location(self, tmp_path):
        """The address of a bucket that nobody else has."""
        return f"memory://{tmp_path.name}/prod"
