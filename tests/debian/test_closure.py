from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coopery.errors import BaseError
from coopery_debian.closure import closure, requests
from coopery_debian.control import Relation, paragraph, relations
from coopery_debian.index import Index


def stanza(name: str, version: str = "1.0", **fields: str) -> str:
    lines = {"Package": name, "Version": version, "Filename": f"pool/{name}.deb", "Size": "1", "SHA256": "0" * 64}
    return "\n".join(f"{key.replace('_', '-')}: {value}" for key, value in {**lines, **fields}.items())


def index(*stanzas: str) -> Index:
    return Index([("\n\n".join(stanzas) + "\n").encode()], "bookworm at mirror")


def names(found: Index, *wanted: str) -> list[str]:
    return [str(package) for package in closure(found, requests(wanted))]


def refusal(found: Index, *wanted: str) -> str:
    with pytest.raises(BaseError) as caught:
        closure(found, requests(wanted))
    return str(caught.value)


def test_paragraph() -> None:
    assert paragraph("A: 1\n# no\nB: x\n y\n .\nC:\n") == {"A": "1", "B": "x\ny\n.", "C": ""}


def test_relations() -> None:
    assert relations("libc6 (>= 2.34), awk:any | busybox (<< 1:2~),\n old (< 3)") == (
        (Relation("libc6", ">=", "2.34"),),
        (Relation("awk"), Relation("busybox", "<<", "1:2~")),
        (Relation("old", "<=", "3"),),
    )


@pytest.mark.parametrize("text", ["a b", "aa (=> 1)", "aa (>= )", "${shlibs:Depends}", "aa |"])
def test_what_is_no_relation(text: str) -> None:
    with pytest.raises(ValueError, match="not a relation"):
        relations(text)


def test_depends_and_pre_depends_are_followed_and_nothing_else() -> None:
    found = index(
        stanza("top", Depends="mid (>= 1)", Pre_Depends="pre", Recommends="rec", Suggests="sug"),
        stanza("mid", Depends="deep"),
        *map(stanza, ("pre", "rec", "sug", "deep")),
    )
    assert names(found, "top") == ["deep 1.0", "mid 1.0", "pre 1.0", "top 1.0"]


def test_a_circle_ends() -> None:
    assert names(index(stanza("aa", Depends="bb"), stanza("bb", Depends="aa")), "aa") == ["aa 1.0", "bb 1.0"]


def test_first_alternative_that_exists() -> None:
    found = index(stanza("top", Depends="none | second | third"), stanza("second"), stanza("third"))
    assert names(found, "top") == ["second 1.0", "top 1.0"]
    assert names(found, "top", "third") == ["third 1.0", "top 1.0"], "what was asked for is enough"


def test_a_virtual_package_is_provided_by_what_debian_prefers() -> None:
    found = index(
        stanza("top", Depends="awk"),
        stanza("gawk", Provides="awk", Priority="optional"),
        stanza("mawk", Provides="awk", Priority="required"),
        stanza("nawk", Provides="awk", Priority="required"),
    )
    assert names(found, "top") == ["mawk 1.0", "top 1.0"]
    assert names(found, "awk") == ["mawk 1.0"]
    assert names(found, "top", "gawk") == ["gawk 1.0", "top 1.0"]


def test_a_version_is_met_only_by_a_provided_version() -> None:
    asks = stanza("top", Depends="api (>= 2)")
    assert "needs api (>= 2)" in refusal(index(asks, stanza("impl", Provides="api")), "top")
    assert "needs api (>= 2)" in refusal(index(asks, stanza("impl", Provides="api (= 1)")), "top")
    assert names(index(asks, stanza("impl", Provides="api (= 2)")), "top") == ["impl 1.0", "top 1.0"]


def test_newest_version_unless_pinned() -> None:
    found = index(stanza("aa", "1.9"), stanza("aa", "1.10"), stanza("aa", "1.10~rc1"))
    assert names(found, "aa") == ["aa 1.10"]
    assert names(found, "aa=1.9") == ["aa 1.9"]


def test_a_dropped_version_is_named_with_what_is_there_and_the_remedy() -> None:
    message = refusal(index(stanza("libc6", "2.36-9+deb12u10")), "libc6=2.36-9+deb12u9")
    assert "libc6=2.36-9+deb12u9" in message
    assert "there: 2.36-9+deb12u10" in message
    assert "COOPERY_DEBIAN_MIRROR to a snapshot" in message


def test_an_unknown_package_is_named_with_those_near_it() -> None:
    message = refusal(index(stanza("libssl3"), stanza("libssl-dev"), stanza("zlib1g")), "libssl1")
    assert "no such package; near it: libssl3" in message
    assert "zlib1g" not in message


def test_all_mistakes_at_once() -> None:
    message = refusal(index(stanza("aa", Depends="gone")), "aa", "unknown", "absent")
    assert all(word in message for word in ("needs gone", "unknown", "absent"))


def test_a_pin_that_a_dependency_excludes() -> None:
    found = index(stanza("top", Depends="lib1 (>= 2)"), stanza("lib1", "1"), stanza("lib1", "2"))
    assert "top 1.0 needs lib1 (>= 2)" in refusal(found, "top", "lib1=1")


def test_packages_that_exclude_each_other() -> None:
    found = index(
        stanza("aa", Conflicts="mta", Provides="mta"),
        stanza("bb", Provides="mta"),
        stanza("cc", Breaks="dd (<< 2)"),
        stanza("dd"),
    )
    assert "aa 1.0 and bb 1.0 exclude each other" in refusal(found, "aa", "bb")
    assert "cc 1.0 and dd 1.0 exclude each other" in refusal(found, "cc", "dd")
    assert names(found, "aa") == ["aa 1.0"]


@pytest.mark.parametrize(
    "text", ["", "A", "../x", "-rf", "libc6=", "libc6=1 2", "libc6;x", "libc6\n", "libc6 (>= 1)", "libc6:amd64", "lïb"]
)
def test_what_is_no_package_name(text: str) -> None:
    if text.strip() == "libc6":
        assert requests([text])[0].name == "libc6"
    else:
        with pytest.raises(BaseError, match=r"\$\.base\.debian\.packages"):
            requests([text])


def test_two_versions_of_one_package() -> None:
    with pytest.raises(BaseError, match="asked for twice: libc6=1 and libc6=2"):
        requests(["libc6=1", "libc6=2"])


@pytest.mark.parametrize(
    "fields",
    [
        {"Filename": "../../etc/passwd"},
        {"Filename": "/etc/passwd"},
        {"Filename": "http://elsewhere/x.deb"},
        {"Filename": "pool//x.deb"},
        {"SHA256": "0" * 63 + "g"},
        {"SHA256": "0"},
        {"Size": "-1"},
        {"Size": "many"},
        {"Depends": "((("},
    ],
)
def test_an_impossible_index_entry_is_refused(fields: dict[str, str]) -> None:
    assert "bookworm at mirror" in refusal(index(stanza("aa", **fields)), "aa")


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(st.integers(0, 9), st.lists(st.integers(0, 9), max_size=4), min_size=10), st.randoms())
def test_the_order_of_a_request_and_of_the_index_never_counts(graph: dict[int, list[int]], random: object) -> None:
    stanzas = [stanza(f"p{n}", Depends=", ".join(f"p{m}" for m in graph.get(n, ()))) for n in range(10)]
    wanted = ["p1", "p2", "p3"]
    once = names(index(*stanzas), *wanted)
    assert names(index(*reversed(stanzas)), *reversed(wanted)) == once
    reached = {name.split()[0] for name in once}
    assert all(f"p{m}" in reached for n in range(10) if f"p{n}" in reached for m in graph.get(n, ()))
