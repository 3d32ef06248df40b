"""What the SDK logs at DEBUG, without keys, tokens and signatures."""

from __future__ import annotations

from kbackup.stores import redact_logs

_MODULES = (
    "auth",
    "client",
    "credentials",
    "endpoint",
    "handlers",
    "hooks",
    "httpsession",
    "parsers",
    "response",
    "signers",
    "tokens",
    "utils",
)
_LOGGERS = (
    "s3fs",
    *(f"{sdk}.{name}" for sdk in ("botocore", "aiobotocore") for name in _MODULES),
    *(f"s3transfer.{name}" for name in ("futures", "tasks", "utils")),
)
# Headers of requests, parameters of calls, and fields of what STS and metadata answer.
_SECRETS = (
    "x-amz-server-side-encryption-customer-key",
    "x-amz-copy-source-server-side-encryption-customer-key",
    "SSECustomerKey",
    "x-amz-security-token",
    "x-aws-ec2-metadata-token",
    "x-amz-sso_bearer_token",
    "SecretAccessKey",
    "secret_key",
    "SessionToken",
    "WebIdentityToken",
    "Token",
    "Signature",
)


def keep_secrets_out_of_logs() -> None:
    """Have botocore and what is built on it log no secrets, for the process."""
    redact_logs(_LOGGERS, _SECRETS)
