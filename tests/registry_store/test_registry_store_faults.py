"""A registry that fails: asked again within bounds; what it refuses is said once, with what to do, and no password."""

from __future__ import annotations

import pytest
from registry_logins import CANARY
from scripted_server import Reply

from coopery.cache import Record
from coopery.errors import CacheError, PluginError, StoreFull, UsageError
from coopery.stores import open_cache
from coopery.stores.registry import RegistryCache

pytestmark = pytest.mark.slow  # together; each is quick
KEY = "ab" * 32
RECORD = Record("resolution", KEY, 1, {"a": 1}, "me", 1.5)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
@pytest.mark.parametrize("where", ["GET .*/manifests/", "PUT .*/manifests/", "HEAD .*/blobs/", "POST ", "tags/list"])
def test_faults_that_pass_are_tried_again(open_fake, fake, where, status):
    fake.fault(where, reply=Reply(status), times=4)
    store = open_fake()
    assert store.put(RECORD, 0) == RECORD
    assert store.get("resolution", KEY) == RECORD


@pytest.mark.parametrize("where", ["PUT .*/manifests/h", f"PUT .*/manifests/{KEY}", "PUT .*/blobs/"])
def test_an_answer_that_was_lost(open_fake, fake, where):
    """What was asked is done, and asked again: the same artifact under the same tag."""
    fake.fault(where, lost=True)
    assert open_fake().put(RECORD, 0) == RECORD
    assert [tag for tag in fake.tags_put if tag == KEY]
    assert len({tag for tag in fake.tags_put if tag.startswith("h")}) == 1


@pytest.mark.parametrize(("status", "times"), [(401, 1), (403, 1), (500, 5)])
def test_what_is_refused_is_an_error_and_never_a_miss(open_fake, fake, status, times):
    fault = fake.fault("GET .*/manifests/", reply=Reply(status), times=99)
    with pytest.raises(CacheError) as caught:
        open_fake().get("resolution", KEY)
    assert 99 - fault.times == times
    assert fake.host in str(caught.value)
    with pytest.raises(CacheError):
        open_fake().put(RECORD, 0)
    assert fake.tags_put == []


def test_no_password_is_shown(open_fake, fake, logins):
    logins(fake.host)
    fake.login = ("me", "another")
    with pytest.raises(CacheError) as caught:
        open_fake().get("resolution", KEY)
    assert CANARY not in f"{caught.value!r} {caught.value} {open_fake.said}"
    assert "log in anew" in str(caught.value)


def test_a_registry_that_deletes_nothing_says_so(open_fake, fake):
    store = open_fake()
    store.put(RECORD, 0)
    fake.fault("DELETE ", reply=Reply(405), times=99)
    with pytest.raises(CacheError, match="not set up to do that"):
        store.delete("resolution", KEY)
    assert store.get("resolution", KEY) == RECORD


def test_a_registry_that_is_full(open_fake, fake):
    fake.fault("PUT .*/manifests/", reply=Reply(507), times=99)
    with pytest.raises(StoreFull, match="make room"):
        open_fake().put(RECORD, 0)


def test_a_registry_that_is_away(tmp_path):
    """Not knowing is an error."""
    store = RegistryCache.from_url("registry://127.0.0.1:9/team/app", tmp_path, print)
    store._repository._clock = _Hasty()  # type: ignore[attr-defined]  # nobody waits for it here
    with pytest.raises(CacheError, match="check the network"):
        store.get("resolution", KEY)


class _Hasty:
    def monotonic(self) -> float:
        return 0.0

    def sleep(self, seconds: float, /) -> None:
        """Not at all."""

    def random(self) -> float:
        return 0.0


def test_one_request_for_a_hit_and_one_for_a_miss(open_fake, fake):
    open_fake().put(RECORD, 0)
    for wanted, name in ((RECORD, KEY), (None, "cd" * 32)):
        store = open_fake()
        fake.requests.clear()
        assert store.get("resolution", name) == wanted
        assert [(one.method, one.path.rpartition("/")[2]) for one in fake.requests] == [("GET", name)]


def test_what_a_page_of_tags_leaves_out_is_not_asked_for(open_fake, fake):
    """In a repository with pages, a key's records are found without reading the list from its beginning."""
    store = open_fake()
    for number in range(24):
        store.put(Record("resolution", f"{number:064x}", 1, {}, "me", 1.5), 0)
    fake.page = 5
    fake.requests.clear()
    assert [found.name for found in store.list("resolution", f"{20:064x}"[:63])] == [f"{n:064x}" for n in range(16, 24)]
    assert len(fake.asked("tags/list")) <= 6
    fake.requests.clear()
    assert list(store.list("placement", "sha256:" + "e" * 64)) == []
    assert len(fake.asked("tags/list")) == 2


def test_a_list_on_another_host_is_not_followed(open_fake, fake):
    open_fake().put(RECORD, 0)
    fake.fault(
        "tags/list",
        change=lambda reply: Reply(200, reply.body, {**reply.headers, "Link": '<http://127.0.0.2:1/v2/x>; rel="next"'}),
    )
    with pytest.raises(CacheError, match="another host"):
        list(open_fake().list("resolution"))


@pytest.mark.parametrize("body", [b"", b"[]", b'{"tags": {}}', b"[" * 100_000])
def test_a_list_that_is_none(open_fake, fake, body):
    fake.fault("tags/list", reply=Reply(200, body), times=99)
    with pytest.raises(CacheError, match="tags"):
        list(open_fake().list("resolution"))
    with pytest.raises(CacheError, match="tags"):
        open_fake().put(RECORD, 0)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("registry:", "no registry is named"),
        ("registry:h:5000/a", "no registry is named"),
        ("registry://", "no registry is named"),
        ("registry://team/app", "no registry is named"),
        ("registry://h.example", "is named|expected"),
        ("registry://h.example/", "expected"),
        ("registry://h.example/a:v1", "got an image with a tag or digest"),
        ("registry://h.example/a@sha256:" + "a" * 64, "got an image with a tag or digest"),
        ("registry://h.example/UPPER", "expected"),
        ("registry://h.example/a?x=1", "unknown option 'x'"),
        ("registry://h.example/a?images=no", "unknown option 'images=no'"),
        (f"registry://me:{CANARY}@h.example/a", "no user and password"),
        ("registry://h.example/a?namespace=a.b", "expected up to 64 letters"),
        ("registry://h.example/a?readonly=1", "expected readonly=true"),
    ],
)
def test_what_is_refused(tmp_path, url, reason):
    with pytest.raises((UsageError, PluginError), match=reason) as caught:
        open_cache(url, tmp_path)
    assert CANARY not in str(caught.value)


def test_from_a_url(tmp_path):
    assert repr(open_cache("registry://h.example:5000/a/b", tmp_path)) == "RegistryCache('h.example:5000/a/b')"
    shared = open_cache("sqlite: registry://localhost/a?readonly=true", tmp_path)
    assert not shared.abilities.attachments
    named = open_cache("registry://docker.io/team/a?namespace=x&images=false", tmp_path)
    assert repr(named) == "Namespace(RegistryCache('docker.io/team/a'), 'x')"
    assert not named.abilities.compare_and_set
    assert "several times" in named.abilities.promise
