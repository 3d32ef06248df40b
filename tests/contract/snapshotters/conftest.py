"""Providers of volumes on loopback ports, for as long as the tests run."""

from __future__ import annotations

import pytest
from botocore.session import Session

from arm_stub import GROUP, SECRET, SUBSCRIPTION, TENANT, running_manager
from gce_stub import running_compute
from moto_ec2 import running_ec2


@pytest.fixture(scope="session")
def ec2_process():
    """Run moto's EC2 for all tests of a process."""
    with running_ec2() as server:
        yield server


@pytest.fixture
def ec2_server(ec2_process, monkeypatch):
    """Moto's EC2, open to everybody, with credentials that it takes: any."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    gate = ec2_process.gate
    gate.requests.clear()
    gate.lost.clear()
    gate.refusals, gate.code = 0, "RequestLimitExceeded"
    gate.status = "503 Service Unavailable"
    return ec2_process


@pytest.fixture
def ec2_client(ec2_server):
    """Speak plain EC2 to the server, to make and look at what is there."""
    client = Session().create_client(
        "ec2", endpoint_url=ec2_server.url, region_name="us-east-1"
    )
    yield client
    client.close()


@pytest.fixture
def gce_stub():
    """A stub of Compute Engine, with nothing in it."""
    with running_compute() as stub:
        yield stub


@pytest.fixture(scope="session")
def arm_process(certificate):
    """Run the resource manager's stub for all tests of a process."""
    with running_manager(certificate) as manager:
        yield manager


@pytest.fixture
def arm(arm_process, certificate, monkeypatch):
    """The resource manager, with nothing in it, trusted by whoever asks."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate / "cert.pem"))
    arm_process.forget()
    return arm_process


@pytest.fixture
def arm_config(arm, tmp_path):
    """A function: the configuration of a location, whose credentials file has *lines*."""

    def make(lines=None, **more):
        written = {
            "AZURE_TENANT_ID": TENANT,
            "AZURE_CLIENT_ID": "44444444-4444-4444-4444-444444444444",
            "AZURE_CLIENT_SECRET": SECRET,
            "AZURE_SUBSCRIPTION_ID": SUBSCRIPTION,
            "AZURE_RESOURCE_GROUP": GROUP,
            "AZURE_RESOURCE_MANAGER_ENDPOINT": arm.url,
            **(lines or {}),
        }
        file = tmp_path / "credentials-azure"
        text = "".join(f"{name}={value}\n" for name, value in written.items() if value)
        file.write_text(text)
        return {
            "credentialsFile": str(file),
            "activeDirectoryAuthorityURI": arm.url,
            **more,
        }

    return make
