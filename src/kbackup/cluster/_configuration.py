"""Where a cluster is and who calls: kubeconfig files, in-cluster, a host's own object.

Reads settings with the `kubernetes` client's own readers and starts no request. Called
by the facade; the credentials are handed to `_auth`, which decides when to read again.
"""

from __future__ import annotations

import base64
import copy
import os
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs

from kbackup._kits.workers import call_with_timeout
from kbackup.cluster._addresses import require_url
from kbackup.cluster._proxies import set_proxy
from kbackup.errors import InvalidConfigError

_PLUGIN_SECONDS = 300.0  # a login in a browser takes a person a few minutes
_LONGEST_TEXT = 300
_TOKEN_FILE_SECONDS = 10.0
_TOKEN_KEYS = ("BearerToken", "authorization")  # the client's names, new and old

_SECOND_DOCUMENT = "expected a single document in the stream"  # as PyYAML says it


@attrs.frozen(kw_only=True)
class Credentials:
    """Who calls, as read at one moment.

    Attributes:
        authorization: The header's value, or None: certificates or nobody.
        certificate: Path, key path and their times of change; a new value needs a
            new connection pool.
        expires_at: When they end, if known.
    """

    authorization: str | None = attrs.field(default=None, repr=False)
    certificate: tuple[Any, ...] = ()
    expires_at: datetime | None = None


@attrs.frozen(kw_only=True)
class Source:
    """One way to be connected.

    Attributes:
        load: Read everything anew; may start a plugin. Returns the client's
            Configuration and the credentials.
        max_age: Seconds after which credentials are read again; None: when they end.
        context: Of the kubeconfig, or empty.
    """

    load: Callable[[], tuple[Any, Credentials]]
    max_age: float | None = None
    context: str = ""


def find_source(kubeconfig: str | Path | None, context: str | None) -> Source:
    """Choose as kubectl does: the named file, $KUBECONFIG, ~/.kube/config, in-cluster.

    Raises:
        InvalidConfigError: There is no such file, no such context, or nothing at all.
    """
    named = str(kubeconfig or os.environ.get("KUBECONFIG") or "")
    paths = named or str(Path("~/.kube/config").expanduser())
    exists = [p for p in paths.split(os.pathsep) if p and Path(p).expanduser().exists()]
    if exists:
        return _kubeconfig_source(paths, context)
    if named:
        raise InvalidConfigError(f"kubeconfig {named} does not exist")
    if context:
        raise InvalidConfigError(f"no kubeconfig to find the context {context} in")
    if os.environ.get("KUBERNETES_SERVICE_HOST"):
        return Source(load=_load_in_cluster, max_age=_TOKEN_FILE_SECONDS)
    raise InvalidConfigError(
        f"no cluster is configured: {paths} does not exist and this is no Pod",
        hint="Name a kubeconfig file, or set KUBECONFIG.",
    )


# --- kubeconfig -----------------------------------------------------------------------


def _kubeconfig_source(paths: str, context: str | None) -> Source:
    config = _read_kubeconfig(paths)
    name = context or config.value.get("current-context") or ""
    contexts = [each["name"] for each in _values(config, "contexts")]
    if not contexts:
        raise InvalidConfigError(
            f"kubeconfig {paths} has no contexts",
            hint="Name another kubeconfig file, or set KUBECONFIG.",
        )
    if not name:
        raise InvalidConfigError(
            f"kubeconfig {paths} has no current context",
            hint=f"Name one of its contexts: {', '.join(sorted(contexts))}.",
        )
    if name not in contexts:
        known = ", ".join(sorted(contexts))
        raise InvalidConfigError(
            f"kubeconfig {paths} has no context {name}", hint=f"It has: {known}."
        )
    user = _active_user(config, name, paths)
    rotates = bool(user and ("tokenFile" in user or "client-certificate" in user))
    return Source(
        load=lambda: _load_kubeconfig(paths, name),
        max_age=_TOKEN_FILE_SECONDS if rotates else None,
        context=name,
    )


def _values(config: Any, key: str) -> list[dict[str, Any]]:
    return [getattr(node, "value", node) for node in config.value.get(key) or ()]


def _read_kubeconfig(paths: str) -> Any:
    """Return the merged files as the client's ConfigNode."""
    import yaml  # noqa: PLC0415 - with the client, when somebody connects
    from kubernetes.config.config_exception import ConfigException  # noqa: PLC0415
    from kubernetes.config.kube_config import KubeConfigMerger  # noqa: PLC0415

    try:
        config = KubeConfigMerger(paths).config
    except yaml.YAMLError as exc:
        mark = getattr(exc, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        if getattr(exc, "context", "") == _SECOND_DOCUMENT:
            raise InvalidConfigError(
                f"kubeconfig {paths} holds several documents{line}: it is no kubeconfig"
            ) from None
        # Without the cause: its text may quote the file.
        raise InvalidConfigError(f"kubeconfig {paths} is no YAML{line}") from None
    except OSError as exc:
        raise InvalidConfigError(
            f"kubeconfig {paths} cannot be read: {exc.strerror}"
        ) from exc
    except (ConfigException, AttributeError, KeyError, TypeError) as exc:
        raise InvalidConfigError(f"kubeconfig {paths} is not a kubeconfig") from exc
    if config is None:
        raise InvalidConfigError(f"kubeconfig {paths} does not exist")
    return config


def _active_user(config: Any, context: str, paths: str) -> Any:
    """Return the ConfigNode of the context's user, or None."""
    from kubernetes.config.config_exception import ConfigException  # noqa: PLC0415

    try:
        chosen = config["contexts"].get_with_name(context)["context"]
        name = chosen.safe_get("user")
        if not name:
            return None  # anonymous
        users = config.safe_get("users")
        entry = config["users"].get_with_name(name, safe=True) if users else None
    except ConfigException as exc:
        raise InvalidConfigError(f"kubeconfig {paths}: {exc}") from exc
    if entry is None:  # the client would call as nobody
        raise InvalidConfigError(
            f"kubeconfig {paths} has no user {name}, whom the context {context} names"
        )
    return entry.safe_get("user") and entry["user"]


def _active_cluster(config: Any, context: str, paths: str) -> Any:
    """Return the ConfigNode of the context's cluster."""
    from kubernetes.config.config_exception import ConfigException  # noqa: PLC0415

    try:
        name = config["contexts"].get_with_name(context)["context"]["cluster"]
        return config["clusters"].get_with_name(name)["cluster"]
    except ConfigException as exc:
        raise InvalidConfigError(f"kubeconfig {paths}: {exc}") from exc


def _load_kubeconfig(paths: str, context: str) -> tuple[Any, Credentials]:
    from kubernetes.client import Configuration  # noqa: PLC0415
    from kubernetes.config.config_exception import ConfigException  # noqa: PLC0415
    from kubernetes.config.kube_config import KubeConfigLoader  # noqa: PLC0415

    config = copy.deepcopy(_read_kubeconfig(paths))
    user = _active_user(config, context, paths)
    cluster = _active_cluster(config, context, paths)
    if server := cluster.safe_get("server"):
        require_url(str(server), f"kubeconfig {paths}: ")
    expires = _run_plugin(user, cluster) if user else None
    configuration = Configuration()
    try:
        loader = KubeConfigLoader(
            config_dict=config, active_context=context, config_base_path=None
        )
        loader.load_and_set(configuration)
    except (ConfigException, OSError) as exc:
        raise InvalidConfigError(f"kubeconfig {paths}: {exc}") from exc
    except Exception as exc:  # of a provider's library, or of data that is not base64
        told = f"kubeconfig {paths}: the login cannot be read ({type(exc).__name__})"
        raise InvalidConfigError(told) from exc
    expires = expires or getattr(loader, "expiry", None)
    field = f"kubeconfig {paths}: proxy-url"
    set_proxy(configuration, cluster.safe_get("proxy-url"), field)
    # The client would ask its hook, and so a plugin, before every request.
    configuration.refresh_api_key_hook = None
    credentials = read_credentials(configuration, expires)
    if user and "auth-provider" in user and credentials.authorization is None:
        provider = user["auth-provider"].safe_get("name")
        raise InvalidConfigError(
            f"kubeconfig {paths}: no token from the auth provider {provider}",
            hint="Auth providers have been replaced by login plugins (exec).",
        )
    return configuration, credentials


def _run_plugin(user: Any, cluster: Any) -> datetime | None:
    """Start an exec plugin, if the user has one, and put what it gave in its place.

    The client's own loader reports a failing plugin to the root logger and goes on
    without credentials; here it is an error.
    """
    if "exec" not in user or user.safe_get("token") or user.safe_get("tokenFile"):
        return None
    from kubernetes.config.exec_provider import ExecProvider  # noqa: PLC0415

    base = str(Path(user.path).resolve().parent) if user.path else ""
    spec = user["exec"]
    command = str(spec.value.get("command", ""))
    try:
        provider = ExecProvider(spec, base, cluster)
        status = call_with_timeout(provider.run, _PLUGIN_SECONDS)
    except TimeoutError as exc:
        told = f"not done within {_PLUGIN_SECONDS:g} s"
        raise InvalidConfigError(f"login plugin {command}: {told}") from exc
    except Exception as exc:
        told = str(exc)[:_LONGEST_TEXT]
        raise InvalidConfigError(f"login plugin {command}: {told}") from exc
    return _take_plugin_answer(user, command, status)


def _take_plugin_answer(user: Any, command: str, answer: Any) -> datetime | None:
    status = answer if isinstance(answer, dict) else {}
    token, certificate, key = (
        value if isinstance(value := status.get(name), str) else ""
        for name in ("token", "clientCertificateData", "clientKeyData")
    )
    if not token and not (certificate and key):
        raise InvalidConfigError(
            f"login plugin {command}: gave neither a token nor a certificate with key"
        )
    del user.value["exec"]
    if token:
        user.value["token"] = token
    if certificate and key:
        user.value["client-certificate-data"] = _encoded(certificate)
        user.value["client-key-data"] = _encoded(key)
    ends = status.get("expirationTimestamp")
    if not ends:
        return None
    try:
        moment = datetime.fromisoformat(str(ends))
    except ValueError as exc:
        raise InvalidConfigError(
            f"login plugin {command}: expirationTimestamp is no time"
        ) from exc
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _encoded(text: str) -> str:
    return base64.standard_b64encode(text.encode()).decode()


# --- in a Pod, and a configuration of the host ----------------------------------------


def _load_in_cluster() -> tuple[Any, Credentials]:
    from kubernetes.client import Configuration  # noqa: PLC0415
    from kubernetes.config.config_exception import ConfigException  # noqa: PLC0415
    from kubernetes.config.incluster_config import load_incluster_config  # noqa: PLC0415

    configuration = Configuration()
    try:
        load_incluster_config(configuration, try_refresh_token=False)
    except (ConfigException, OSError) as exc:
        raise InvalidConfigError(f"in-cluster configuration: {exc}") from exc
    set_proxy(configuration, None)
    return configuration, read_credentials(configuration, None)


def host_source(configuration: Any) -> Source:
    """Use a `kubernetes.client.Configuration` that the host application made.

    Its ``refresh_api_key_hook`` is called at most every ten seconds, and after a 401.
    """

    def load() -> tuple[Any, Credentials]:
        hook = configuration.refresh_api_key_hook
        if hook is not None:
            hook(configuration)
        return configuration, read_credentials(configuration, None)

    has_hook = configuration.refresh_api_key_hook is not None
    return Source(load=load, max_age=_TOKEN_FILE_SECONDS if has_hook else None)


def read_credentials(configuration: Any, expires: datetime | None) -> Credentials:
    """Return what a loaded Configuration says about the caller."""
    token = None
    for key in _TOKEN_KEYS:
        if value := configuration.api_key.get(key):
            prefix = configuration.api_key_prefix.get(key)
            token = f"{prefix} {value}" if prefix else value
            break
    if token is None and configuration.username:
        both = f"{configuration.username}:{configuration.password or ''}"
        token = f"Basic {_encoded(both)}"
    paths = (configuration.cert_file, configuration.key_file)
    certificate: tuple[Any, ...] = ()
    if paths[0]:
        certificate = (*paths, *(_changed_at(path) for path in paths))
    token = token.strip() if token else None  # a file may end with a newline
    if token and not is_header_value(token):
        raise InvalidConfigError("the token has characters that no HTTP header holds")
    return Credentials(
        authorization=token,
        certificate=certificate,
        expires_at=expires,
    )


def is_header_value(text: str) -> bool:
    """Whether *text* can be sent in a header as it is, and adds no other one."""
    return text.isascii() and text.isprintable()


def _changed_at(path: str | None) -> int:
    with suppress(OSError, TypeError):
        return Path(path or "").stat().st_mtime_ns
    return 0
