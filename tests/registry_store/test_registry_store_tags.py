"""Names and tags: any name has a tag of its own, and what begins alike is found by how tags begin."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coopery.cache import Record
from coopery.digest import of_bytes
from coopery.errors import CacheError
from coopery.records import placement_name, resolution_name
from coopery.stores.registry import tags

GRAMMAR = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")
KEY, UNDER = "ab" * 32, "cd" * 16
IMAGE = of_bytes(b"image")

keys = st.text("0123456789abcdef", min_size=64, max_size=64)
texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=80)
places = st.sampled_from(["registry://h:5000/team/app", "oci:/home/a/images", "docker:", ""])
names = st.one_of(
    texts,
    keys,
    st.builds(resolution_name, keys, st.text("0123456789abcdef", min_size=32, max_size=32)),
    st.builds(placement_name, keys.map(lambda key: f"sha256:{key}"), places),
    st.builds("ns.team.{}".format, keys),
)
kinds = st.sampled_from(["resolution", "placement"])


def test_a_key_is_its_own_tag():
    assert tags.pointer("resolution", KEY) == KEY
    assert tags.pointer("resolution", resolution_name(KEY, UNDER)) == f"{KEY}u{UNDER}"
    assert tags.pointer("placement", placement_name(IMAGE, "registry://h/r")).startswith(f"p{IMAGE[7:]}h")


@given(kinds, names, kinds, names)
def test_every_name_has_a_tag_of_its_own(kind, name, other_kind, other):
    tag = tags.pointer(kind, name)
    assert GRAMMAR.fullmatch(tag)
    assert tag.isalnum()
    assert tag == tag.lower()
    assert tags.is_pointer(kind, tag)
    assert tags.claimed(tag) is None
    if (kind, name) != (other_kind, other):
        assert tags.pointer(other_kind, other) != tag


@given(kinds, names, st.data())
def test_what_begins_alike_is_found(kind, name, data):
    prefix = name[: data.draw(st.integers(0, len(name)))]
    tag = tags.pointer(kind, name)
    assert tag.startswith(tags.beginnings(kind, prefix))
    assert tag not in tags.beginnings(kind, prefix), "a list begins behind the tag that it is asked for"


@given(kinds, names, st.integers(1, tags.HIGHEST), st.floats(allow_nan=False), st.floats(0, 4e9))
def test_claims(kind, name, generation, written, later):
    made = Record(kind, name, generation, {}, "me", written)
    tag = tags.claim(made, of_bytes(b"x"))
    assert GRAMMAR.fullmatch(tag)
    assert tag.startswith(tags.claims(kind, name))
    assert tags.claimed(tag) == (generation, of_bytes(b"x")[7:39])
    assert not tags.is_pointer("resolution", tag)
    assert not tags.is_pointer("placement", tag)
    after = Record(kind, name, generation, {}, "me", later + 1)
    before = Record(kind, name, generation, {}, "me", later)
    assert tags.claim(before, of_bytes(b"z")) < tags.claim(after, of_bytes(b"a"))


@pytest.mark.parametrize("kind", ["resolution", "placement"])
def test_half_a_character_is_no_name(kind):
    with pytest.raises(CacheError, match="no name of a record"):
        tags.pointer(kind, "a\ud800")
