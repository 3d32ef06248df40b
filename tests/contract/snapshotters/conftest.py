"""Servers of EC2 and Compute Engine on loopback ports, while the tests run."""

from __future__ import annotations

import pytest
from botocore.session import Session

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
