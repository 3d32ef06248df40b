"""Servers of EC2 and Compute Engine on loopback ports, while the tests run."""

from __future__ import annotations

import json

import pytest
from botocore.session import Session
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from gce_stub import PROJECT, running_compute
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
def private_key():
    """The PEM of a key that opens nothing."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


@pytest.fixture
def key_file(tmp_path, gce_stub, private_key):
    """The key file of a service account, which gets its tokens from the stub."""
    info = {
        "type": "service_account",
        "project_id": PROJECT,
        "client_email": f"backup@{PROJECT}.iam.gserviceaccount.com",
        "private_key": private_key,
        "private_key_id": "1",
        "token_uri": f"{gce_stub.url}/token",
    }
    path = tmp_path / "key.json"
    path.write_text(json.dumps(info))
    return str(path)
