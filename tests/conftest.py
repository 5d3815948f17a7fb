"""What every test shares: the ``needs`` marker, the table at the end, and the fixtures that many folders use."""

from __future__ import annotations

import signal
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent))
import parts

# A busy machine is no defect: no example has a deadline; what failed is printed so that it can be run again.
settings.register_profile("coopery", deadline=None, print_blob=True)
settings.load_profile("coopery")

# What a shell ignores for the programs that it starts in the background, their children would ignore too.
for number in (signal.SIGINT, signal.SIGHUP):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, signal.SIG_DFL)

COMPILED = Path(__file__).parents[1] / "build" / "compiled"


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Compile the tests once, also where Python is told to write no bytecode: that takes longer than to run most.

    Then they are compiled into a folder of their own. Only for this process and this while: the tests and the programs
    that they start see what the caller has set.
    """
    before = sys.dont_write_bytecode, sys.pycache_prefix
    if sys.dont_write_bytecode:
        sys.dont_write_bytecode, sys.pycache_prefix = False, str(COMPILED)
    try:
        return (yield)
    finally:
        sys.dont_write_bytecode, sys.pycache_prefix = before


SHORT = {"channel": ("channel",), "network": ("debian",), "tools": ("skopeo", "umoci")}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Spell the short markers out."""
    for item in items:
        for short, names in SHORT.items():
            if item.get_closest_marker(short):
                item.add_marker(pytest.mark.needs(*names))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """A test whose parts do not work here is not run; where they are required, that is a failure."""
    names = [name for marker in item.iter_markers("needs") for name in marker.args]
    for name in dict.fromkeys(names):
        item.user_properties.append(("needs", name))
    for name in names:
        reason = parts.why_not(name)
        if reason is None:
            continue
        if name in parts.required():
            pytest.fail(f"{name} is required and does not work: {reason}", pytrace=False)
        pytest.skip(f"{name}: {reason}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Each part: tried how, works or why not, tests run and not run."""
    ran: Counter[str] = Counter()
    idle: Counter[str] = Counter()
    for outcome, reports in terminalreporter.stats.items():
        for report in reports:
            if getattr(report, "when", None) == "teardown":
                continue
            names = {name for what, name in getattr(report, "user_properties", ()) if what == "needs"}
            if isinstance(report, pytest.TestReport) and outcome in ("passed", "failed", "error", "skipped"):
                (idle if outcome == "skipped" else ran).update(names or {"engine-free"})
    if terminalreporter.config.getoption("collectonly", default=False):
        return
    _write_table(terminalreporter, ran, idle)


def _write_table(reporter: pytest.TerminalReporter, ran: Counter[str], idle: Counter[str]) -> None:
    reporter.write_line("")
    reporter.write_line(f"{'part':<16}{'tried':<44}{'run':>6}{'not run':>9}  state")
    for name, part in parts.PARTS.items():
        asked = ran[name] or idle[name]
        state = parts.why_not(name) or "works" if asked else "not asked for"
        reporter.write_line(f"{name:<16}{part.tried:<44}{ran[name]:>6}{idle[name]:>9}  {state}")


@pytest.fixture(scope="session")
def science_channel() -> Path:
    """The folder of the real conda channel. Tests that use it carry the marker ``channel``."""
    return parts.REPOSITORY / "build" / "channel"
