"""LISTs: paging, one resourceVersion, 410 in the middle."""

import json

import attrs
import pytest

from kbackup.cluster import Cluster
from kbackup.cluster._lists import next_limit
from kbackup.errors import GoneError, InvalidItemError, ServerFaultError
from kbackup.models import APIResource

from .conftest import status

SECRETS = APIResource(
    group="", version="v1", resource="secrets", kind="Secret", namespaced=True
)


def secret(number, **more):
    """Return a Secret as a list holds it: without kind."""
    name = f"s{number:04}"
    return {"metadata": {"name": name, "namespace": "x", "uid": f"u{number}"}} | more


class Lists:
    """Serves numbered Secrets in pages; tokens are ``<version>:<next number>``."""

    def __init__(self, count, page=3):
        self.numbers = list(range(count))
        self.page = page
        self.version = "10"
        self.gone = []  # answers instead of pages, by number of the request
        self.seen = []

    def __call__(self, request):
        """Answer a LIST."""
        if "apiservices" in request.path:
            return 404, {}, b"404 page not found"
        self.seen.append(request.query)
        if self.gone and (answer := self.gone.pop(0)):
            return answer
        version, _, start = request.query.get("continue", "").partition(":")
        version = version or request.query.get("resourceVersion") or self.version
        found = [n for n in self.numbers if n >= int(start or 0)]
        meta = {"resourceVersion": version}
        if len(found) > self.page:
            meta["continue"] = f"{version}:{found[self.page]}"
        items = [secret(n) for n in found[: self.page]]
        return 200, {}, {"metadata": meta, "items": items}


@pytest.fixture
def cluster(server, write_kubeconfig, settings):
    """A connection with a static token."""
    path = write_kubeconfig(server.url, {"token": "t"})
    with Cluster.connect(path, settings=settings) as cluster:
        yield cluster


def names(listing):
    """Return the names in the order in which they came."""
    return [item.name for item in listing]


ALL = [f"s{n:04}" for n in range(10)]


def test_all_pages(server, cluster):
    """All pages come, once and in order, and the record counts them."""
    server.answer = lists = Lists(10)

    listing = cluster.list(SECRETS, namespace="x", label_selector="a=b")

    assert names(listing) == ALL
    assert listing.record.listed == 10
    assert listing.record.exact
    assert listing.resource_version == "10"
    assert lists.seen[0] == {"limit": "25", "labelSelector": "a=b"}


def test_the_first_page_where_somebody_knows(server, cluster):
    """As many are asked for at first as the caller says; what follows is our own choice."""
    server.answer = lists = Lists(10)

    assert names(cluster.list(SECRETS, limit=7)) == ALL
    assert [seen["limit"] for seen in lists.seen] == ["7", "28", "112", "448"]


def test_bodies(server, cluster):
    """An item of a list gets apiVersion and kind in front and is otherwise untouched."""
    server.answer = Lists(1)

    item = next(iter(cluster.list(SECRETS)))

    assert json.loads(item.json()) == {"apiVersion": "v1", "kind": "Secret"} | secret(0)
    assert item.json().startswith(b'{"apiVersion":"v1","kind":"Secret",')


def test_bodies_that_say_their_kind(server, cluster):
    """An item that says its kind, as custom resources do, is left as it is."""
    body = secret(0, apiVersion="v1", kind="Secret")
    server.script((200, {}, {"metadata": {"resourceVersion": "1"}, "items": [body]}))

    item = next(iter(cluster.list(SECRETS)))

    assert json.loads(item.json()) == body
    assert item.json().count(b"apiVersion") == 1


def test_exact_version(server, cluster):
    """A list at a given version asks for exactly that one, on the first page only."""
    server.answer = lists = Lists(4)

    listing = cluster.list(SECRETS, resource_version="7")

    assert len(names(listing)) == 4
    assert lists.seen[0]["resourceVersionMatch"] == "Exact"
    assert "resourceVersion" not in lists.seen[1]
    assert listing.record.exact
    assert listing.record.resource_version == "7"


@pytest.mark.parametrize(
    "answer",
    [
        status(410),
        status(400),
        status(504, "Too large resource version: 7"),
        status(500, "etcdserver: mvcc: required revision is a future revision"),
    ],
    ids=["compacted", "unknown-parameter", "in-the-future", "in-etcds-future"],
)
def test_version_not_readable(server, cluster, answer, monkeypatch):
    """A type that cannot be read at the version is read at the newest, and says so."""
    monkeypatch.setattr("kbackup.cluster._transport._TRIES_AFTER_FAULT", 1)
    server.answer = lists = Lists(10)
    lists.gone = [answer]

    listing = cluster.list(SECRETS, resource_version="7")

    assert names(listing) == ALL
    assert not listing.record.exact
    assert listing.record.resource_version == "10"
    assert listing.record.restarts == 0


@pytest.mark.parametrize(
    ("answer", "asked"),
    [
        (status(500, "etcdserver: mvcc: required revision is a future revision"), 1),
        (status(400), 1),
        (status(504, "Too large resource version: 7"), 2),
    ],
    ids=["other-etcd", "unknown-parameter", "behind"],
)
def test_a_type_with_versions_of_its_own(server, cluster, answer, asked, monkeypatch):
    """It is refused once, and not asked again for each namespace; who lags is."""
    monkeypatch.setattr("kbackup.cluster._transport._FIRST_DELAY", 0.01)
    server.answer = lists = Lists(2)
    lists.gone = [answer]
    tried = cluster.list(SECRETS, namespace="x", resource_version="7")
    assert len(names(tried)) == 2

    listing = cluster.list(SECRETS, namespace="y", resource_version="7")

    assert len(names(listing)) == 2
    versions = [x.get("resourceVersion") for x in lists.seen]
    if asked == 1:
        assert versions == ["7", None, None]
        assert not tried.record.exact
        assert not listing.record.exact
    else:  # one that lags behind has it in a moment
        assert versions == ["7", "7", "7"]
        assert listing.record.exact


def test_what_is_refused_for_a_selector_keeps_its_versions(server, cluster):
    """A slip in one list does not make later ones of the type be read at their newest."""
    server.answer = lists = Lists(2)
    lists.gone = [status(400), status(400)]
    with pytest.raises(InvalidItemError):
        names(cluster.list(SECRETS, label_selector="a in (", resource_version="7"))

    listing = cluster.list(SECRETS, resource_version="7")

    assert len(names(listing)) == 2
    assert listing.record.exact
    assert [x.get("resourceVersion") for x in lists.seen] == ["7", None, "7"]


def test_aggregated_api(server, cluster):
    """A group of another API server is read at its newest: its versions are its own."""
    service = {
        "metadata": {"name": "v1.g"},
        "spec": {"group": "g", "service": {"name": "s"}},
    }
    lists = Lists(2)
    services = (200, {}, {"metadata": {"resourceVersion": "1"}, "items": [service]})
    server.answer = lambda r: services if "apiservices" in r.path else lists(r)
    foreign = APIResource(
        group="g", version="v1", resource="things", kind="Thing", namespaced=True
    )

    listing = cluster.list(foreign, resource_version="7")

    assert len(names(listing)) == 2
    assert not listing.record.exact
    assert "resourceVersion" not in lists.seen[0]


def test_gone_with_a_token(server, cluster):
    """A list that expired goes on where the server says, and nothing comes twice."""
    server.answer = lists = Lists(10)
    lists.gone = [None, status(410, metadata={"continue": "12:3"})]

    listing = cluster.list(SECRETS, resource_version="7")

    assert names(listing) == ALL
    assert lists.seen[2]["continue"] == "12:3"
    assert listing.record.restarts == 1
    assert listing.record.listed == 10
    assert not listing.record.exact


def test_gone_without_a_token(server, cluster):
    """A list that must begin again delivers nothing twice and loses nothing."""
    server.answer = lists = Lists(10)
    lists.gone = [None, None, status(410), None, None, None, status(410)]

    listing = cluster.list(SECRETS)

    assert names(listing) == ALL
    assert listing.record.restarts == 2
    assert listing.record.listed == 10


def test_gone_for_ever(server, cluster):
    """A list that never gets further is an error."""
    server.answer = lists = Lists(10)
    lists.gone = [None] + [status(410), None] * 20

    with pytest.raises(GoneError):
        names(cluster.list(SECRETS))


def page_of(item):
    """Return a LIST's answer with one item, given as bytes."""
    return b'{"metadata":{"resourceVersion":"1"},"items":[' + item + b"]}"


LEVELS = 100_000  # where every Python gives up: a newer one follows for longer
DEEP = b'{"metadata":{"name":"d"},"x":' + b'{"a":' * LEVELS + b"1" + b"}" * (LEVELS + 1)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(
            b'{"kind":"Status","status":"Failure","code":403}', id="a failure"
        ),
        pytest.param(b'{"metadata":{"resourceVersion":"1"}}', id="no items"),
        pytest.param(
            page_of(b'{"metadata":{"name":"a"},"data":"\xff"}'), id="no UTF-8"
        ),
        pytest.param(page_of(b'{"metadata":{"name":"\xff"}}'), id="no UTF-8 name"),
        pytest.param(page_of(DEEP), id="nested too deeply"),
    ],
)
def test_no_list_with_status_200(server, cluster, answer):
    """What is no list, or holds what nobody could read again, is not taken for none."""
    server.script((200, {}, answer))

    with pytest.raises(ServerFaultError, match="the answer is no list"):
        list(cluster.list(SECRETS))


def test_an_empty_list(server, cluster):
    """Go writes null for a list of nothing."""
    server.script((200, {}, b'{"metadata":{"resourceVersion":"1"},"items":null}'))

    assert list(cluster.list(SECRETS)) == []


def test_an_object_that_is_nested_too_deeply(server, cluster):
    """It is an error of the one object, whatever Python says of such depth."""
    server.script((200, {}, DEEP))

    with pytest.raises(ServerFaultError, match="the answer is not JSON"):
        cluster.get(SECRETS, "d", "x")


def test_limit_follows_size():
    """The next page holds about the bytes that are wanted, and grows by steps."""
    assert next_limit(100, 1000, 8_000_000) == 400
    assert next_limit(400, 1000, 800_000) == 800
    assert next_limit(100, 1_000_000, 8_000_000) == 8
    assert next_limit(8, 100_000_000, 8_000_000) == 1


def test_repr_hides_bodies(server, cluster):
    """Neither items nor pages show what they hold."""
    server.script((200, {}, {"items": [secret(0, data={"k": "hunter2"})]}))

    (page,) = cluster.list(SECRETS).pages()

    assert "hunter2" not in repr(page) + repr(page.items)


def test_a_list_that_does_not_go_on(server, cluster):
    """The same token twice is an error of that list: it would be asked for ever."""
    page = {"metadata": {"resourceVersion": "1", "continue": "t"}, "items": [secret(0)]}
    server.answer = lambda request: (200, {}, page)

    with pytest.raises(ServerFaultError, match="same continue token twice"):
        list(cluster.list(SECRETS))


def test_an_api_service_that_is_none(server, cluster):
    """An odd APIService says of no group who serves it; the next one is still heard."""
    odd = {"metadata": {"name": "v1.odd"}, "spec": {"group": ["x"], "service": {}}}
    good = {
        "metadata": {"name": "v1.g"},
        "spec": {"group": "g", "service": {"name": "s"}},
    }
    answer = {"metadata": {"resourceVersion": "1"}, "items": [odd, good]}
    lists = Lists(2)
    server.answer = lambda r: (200, {}, answer) if "apiservices" in r.path else lists(r)

    listing = cluster.list(attrs.evolve(SECRETS, group="g"), resource_version="7")

    assert len(names(listing)) == 2
    assert not listing.record.exact
