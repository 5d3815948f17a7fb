"""``pytest --coopery-store=URL``: the kits of `coopery.testing` and the promises, on any store, by one command.

Loaded by pytest in every environment that has Coopery, so that it imports nothing before the option is given.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

EXERCISED_BY: Final = {
    "compare_and_set": {"test_threads_have_one_winner", "test_07_a_builder_that_wakes_late_publishes_nothing"},
    "history": {"test_a_generation_replaces_the_one_before"},
    "leases": {"test_one_holder_at_a_time", "test_a_silent_holder_is_replaced"},
    "list": {"test_list_gives_the_newest_of_each_name_in_order"},
    "writable": {"test_what_is_put_is_got"},
}
"""Ability → tests that are not passed without it."""


def pytest_addoption(parser: Any) -> None:
    """The three options."""
    group = parser.getgroup("coopery", "Coopery's kits for cache stores")
    group.addoption("--coopery-store", metavar="URL", help="run the kits and promises on this store, and nothing else")
    group.addoption("--coopery-leases", metavar="URL", help="with leases of this store")
    group.addoption(
        "--coopery-store-files", metavar="DIR", help="where the store's files are: they are damaged on purpose"
    )


def pytest_configure(config: Any) -> None:
    """Where a store is named and no files are, run what comes with Coopery."""
    if config.getoption("coopery_store") and config.args_source is not config.ArgsSource.ARGS:
        config.args = [str(Path(__file__).parent / "testing" / "store_promises.py")]


def pytest_terminal_summary(terminalreporter: Any, config: Any) -> None:
    """Say which abilities the store declares, and which of them a test has passed that needs them."""
    if not config.getoption("coopery_store"):
        return
    passed = terminalreporter.getreports("passed")
    noted = (value for report in passed for name, value in report.user_properties if name == "coopery_declared")
    declared: dict[str, bool] = dict(noted)
    ran = {report.nodeid.rpartition("::")[2] for report in passed}
    terminalreporter.write_sep("=", "abilities of the store")
    for ability, there in sorted(declared.items()):
        state = "exercised" if there and ran & EXERCISED_BY.get(ability, set()) else ""
        words = f"{ability:<18}{'declared' if there else 'not declared':<14}{state}"
        terminalreporter.write_line(words.rstrip())
