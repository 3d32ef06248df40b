"""What the API server's answers mean for a write."""

import pytest

from kbackup.errors import (
    ActionError,
    AlreadyExistsError,
    ClusterUnreachableError,
    ConflictError,
    ForbiddenError,
    InvalidItemError,
    ItemNotFoundError,
    ServerFaultError,
    ThrottledError,
    UnsupportedByServerError,
)
from kbackup.restore._target.answers import (
    Answer,
    explain,
    is_push_back,
    may_pass,
    meaning,
)

DENIED = 'admission webhook "w.io" denied the request: it could not look'

POLICY = (
    "is invalid: : ValidatingAdmissionPolicy 'p' with binding 'b' denied request: failed "
    "to configure"
)
NO_PARAMETERS = (
    "binding: no params found for policy binding with `Deny` parameterNotFoundAction"
)


@pytest.mark.parametrize(
    ("error", "reason", "on_create", "on_update"),
    [
        (ThrottledError, "", Answer.RETRY, Answer.RETRY),
        (ServerFaultError, "", Answer.LOOK, Answer.LOOK),
        (ClusterUnreachableError, "", Answer.LOOK, Answer.LOOK),
        (AlreadyExistsError, "", Answer.EXISTS, Answer.FAIL),
        (ConflictError, "", Answer.RETRY, Answer.MOVED),
        (UnsupportedByServerError, "", Answer.RETRY, Answer.FAIL),
        (ItemNotFoundError, "", Answer.RETRY, Answer.MOVED),
        (ForbiddenError, "exceeded quota: small", Answer.FAIL, Answer.FAIL),
        (InvalidItemError, "spec.x is wrong", Answer.FAIL, Answer.FAIL),
        (ForbiddenError, "status unknown for quota: q", Answer.RETRY, Answer.RETRY),
        (
            ForbiddenError,
            "namespace x: no new content, because it is being terminated",
            Answer.RETRY,
            Answer.RETRY,
        ),
        (
            ForbiddenError,
            "error looking up service account shop/default",
            Answer.RETRY,
            Answer.RETRY,
        ),
        (ServerFaultError, "failed calling webhook x", Answer.RETRY, Answer.RETRY),
        (
            ForbiddenError,
            'pod rejected: RuntimeClass "gvisor" not found',
            Answer.RETRY,
            Answer.RETRY,
        ),
        (
            ForbiddenError,
            "no PriorityClass with name high was found",
            Answer.RETRY,
            Answer.RETRY,
        ),
        (
            ServerFaultError,
            "conversion webhook for example.com/v2, Kind=Widget failed: Post",
            Answer.RETRY,
            Answer.RETRY,
        ),
        (InvalidItemError, f"{POLICY} {NO_PARAMETERS}", Answer.RETRY, Answer.RETRY),
        (
            ForbiddenError,
            (
                f"{POLICY} binding: paramKind kind `example.com/v1, Kind=Limit` not yet "
                "synced to use for admission"
            ),
            Answer.RETRY,
            Answer.RETRY,
        ),
        (
            InvalidItemError,
            (
                f"{POLICY} policy: failed to find resource referenced by paramKind: "
                "'example.com/v1, Kind=Limit'"
            ),
            Answer.RETRY,
            Answer.RETRY,
        ),
        (InvalidItemError, f"{POLICY} policy: it does", Answer.FAIL, Answer.FAIL),
        (
            AlreadyExistsError,
            "object is being deleted: x",
            Answer.LEAVING,
            Answer.RETRY,
        ),
        (
            InvalidItemError,
            "spec.ports[0].nodePort: provided port is already allocated",
            Answer.EXISTS,
            Answer.FAIL,
        ),
        (
            InvalidItemError,
            (
                'spec.clusterIPs: Invalid value: []string{"10.0.165.86"}: failed to '
                "allocated ip:10.0.165.86 with error:provided IP is already allocated"
            ),
            Answer.EXISTS,
            Answer.FAIL,
        ),
        (
            ServerFaultError,
            "etcdserver: request is too large",
            Answer.FAIL,
            Answer.FAIL,
        ),
        (
            ServerFaultError,
            (
                "rpc error: code = ResourceExhausted desc = trying to send message larger "
                "than max (2200394 vs. 2097152)"
            ),
            Answer.FAIL,
            Answer.FAIL,
        ),
        (
            ServerFaultError,
            "resourceVersion should not be set on objects to be created",
            Answer.FAIL,
            Answer.FAIL,
        ),
    ],
)
def test_meaning(error, reason, on_create, on_update):
    """Each answer is tried again, looked into, or is the end, by its kind."""
    raised = error("create", "configmaps", "shop/x", reason)

    assert meaning(raised, create=True) is on_create
    assert meaning(raised, create=False) is on_update


@pytest.mark.parametrize("create", [True, False], ids=["create", "update"])
@pytest.mark.parametrize(
    ("error", "answer"),
    [
        (ForbiddenError, Answer.FAIL),
        (InvalidItemError, Answer.FAIL),
        (UnsupportedByServerError, Answer.RETRY),  # how a 404 without a name is read
        (ItemNotFoundError, Answer.RETRY),
        (AlreadyExistsError, Answer.RETRY),
        (ConflictError, Answer.RETRY),
        (ThrottledError, Answer.RETRY),
        (ServerFaultError, Answer.RETRY),
    ],
)
def test_a_webhook_denies_with_any_code(error, answer, create):
    """A code that a webhook chose tells nothing of the object or of the server."""
    raised = error("create", "configmaps", "shop/x", DENIED)

    assert meaning(raised, create=create) is answer


@pytest.mark.parametrize(
    ("cause", "passes"),
    [
        (ServerFaultError("get", "secrets"), True),
        (ForbiddenError("get", "secrets"), False),
        (AlreadyExistsError("create", "jobs", "a/b", "object is being deleted"), True),
        (AlreadyExistsError("create", "jobs", "a/b"), False),
        (ValueError("broken"), False),
        (None, False),
    ],
)
def test_what_an_action_met_may_pass(cause, passes):
    """An action that the server did not answer is asked again, a broken one is not."""
    error = ActionError("example.com/test", "secrets/shop/x", "failed")
    error.__cause__ = cause

    assert may_pass(error) is passes


def test_push_back():
    """Throttling and server faults tell that there is too much to do."""
    assert is_push_back(ThrottledError("create", "secrets"))
    assert is_push_back(ServerFaultError("create", "secrets"))
    assert not is_push_back(ForbiddenError("create", "secrets"))


@pytest.mark.parametrize(
    "what",
    [
        "failed calling webhook x",
        "conversion webhook for x",
        "etcdserver: request is too large",
        DENIED,
    ],
)
def test_what_concerns_one_item_is_no_push_back(what):
    """A webhook that is not there yet, or a huge object, does not slow down the rest."""
    assert not is_push_back(ServerFaultError("create", "secrets", "s", what))


def test_a_refused_secret_is_explained_without_its_values():
    """The server's words about a Secret are not repeated, only the fields."""
    error = InvalidItemError(
        "create",
        "secrets",
        "shop/tls",
        'data[key]: Invalid value: "c2VjcmV0"',
        body={"details": {"causes": [{"field": "data[key]"}]}},
    )

    assert explain(error, hide=True) == (
        "cannot create secrets shop/tls: refused as invalid (data[key])"
    )
    assert "c2VjcmV0" in explain(error, hide=False)


@pytest.mark.parametrize(
    "words",
    [
        'admission webhook "w.io" denied the request: c2VjcmV0 is weak',
        "ValidatingAdmissionPolicy 'p' with binding 'b' denied request: c2VjcmV0",
    ],
    ids=["webhook", "policy"],
)
@pytest.mark.parametrize("kind", [ForbiddenError, InvalidItemError])
def test_who_denied_a_secret_is_told_but_not_why(words, kind):
    """A webhook is named; what it says about the object's values is left out."""
    error = kind("create", "secrets", "shop/tls", words)

    said = explain(error, hide=True)

    assert words.partition(":")[0] in said
    assert "c2VjcmV0" not in said
    assert "c2VjcmV0" in explain(error, hide=False)
