"""Sizes and times as people type them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coopery.collect import amounts
from coopery.errors import UsageError

pytestmark = pytest.mark.slow  # left out of make check: much of it waits, or goes through many cases


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("0B", 0),
        ("20GB", 20_000_000_000),
        ("1.5 GiB", 1_610_612_736),
        ("500MiB", 524_288_000),
        ("1kB", 1000),
        ("1KB", 1000),
        ("2TB", 2 * 10**12),
        ("0.1B", 0),
    ],
)
def test_sizes(text: str, count: int) -> None:
    assert amounts.size(text) == count


@pytest.mark.parametrize(
    ("text", "count"),
    [("30d", 2_592_000.0), ("12h", 43_200.0), ("90m", 5400.0), ("0s", 0.0), ("1.5h", 5400.0), ("2w", 1_209_600.0)],
)
def test_times(text: str, count: float) -> None:
    assert amounts.seconds(text) == count


@pytest.mark.parametrize(
    "text",
    [
        "",
        "20",
        "GB",
        "-1GB",
        "20 G B",
        "20gb",
        "1e3GB",
        "٣GB",
        "20GB\n20GB",
        "1_000MB",
        "0x1GB",
        "inf GB",
        "9" * 400 + "GB",
    ],
)
def test_what_is_no_size_is_refused_with_the_units(text: str) -> None:
    with pytest.raises(UsageError, match="expected a size, such as 20GB") as caught:
        amounts.size(text)
    assert "GiB" in caught.value.remedy


@pytest.mark.parametrize("text", ["30", "d", "30 days", "1M", "-1d", "1d12h", "nan h"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="expected a time"):
        amounts.seconds(text)


@given(st.text(max_size=12))
def test_any_text_is_read_or_refused(text: str) -> None:
    for read in (amounts.size, amounts.seconds):
        try:
            assert read(text) >= 0
        except UsageError:
            continue
