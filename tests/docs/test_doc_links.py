"""Links between pages lead somewhere, and the index knows every page."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from doc_pages import PAGES, ROOT, anchor, headings, links, name_of


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_resolve(page: Path) -> None:
    lost = []
    for link in links(page):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, fragment = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        there = target.exists() and ROOT in target.parents
        if not there or (fragment and fragment not in map(anchor, headings(target))):
            lost.append(link)
    assert lost == []


def test_the_index_names_every_page() -> None:
    index = ROOT / "docs" / "README.md"
    named = {(index.parent / link.partition("#")[0]).resolve() for link in links(index)}
    assert {path for path in (ROOT / "docs").glob("*.md") if path != index} <= named


def test_every_decision_is_in_their_index() -> None:
    index = ROOT / "docs" / "decisions" / "README.md"
    named = {index.parent / link for link in links(index)}
    assert {path for path in index.parent.glob("*.md") if path != index} == named


def test_the_picture_names_no_machine() -> None:
    drawn = ElementTree.parse(ROOT / "docs" / "demo.svg").getroot()  # noqa: S314 - our own file
    text = "".join(drawn.itertext()).replace("\xa0", " ")
    for shown in ("coopery key train.yaml", "coopery run train.yaml", "(a hit: nothing was built)", "coopery why"):
        assert shown in text
    assert "oci:~/coopery/build/demo/home/images:" in text
    assert not re.search(r"/(tmp|root|work|var|mnt)\b|@|\w+://", text)
