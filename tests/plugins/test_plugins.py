"""Plugins are found by entry point, or handed in; clashes, misspellings and broken ones are errors that name them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from coopery import hookimpl
from coopery.errors import PluginError
from coopery.events import Event, Warned
from coopery.hookspecs import (
    coopery_observe_event,
    coopery_register_backend,
    coopery_register_base_source,
    coopery_register_cache,
    coopery_register_materializer,
)
from coopery.plugins import Plugins

HOOKS = (
    coopery_register_backend,
    coopery_register_materializer,
    coopery_register_base_source,
    coopery_register_cache,
    coopery_observe_event,
)


def plugin(**hooks: Any) -> SimpleNamespace:
    return SimpleNamespace(**{name: hookimpl(function) for name, function in hooks.items()})


def named(name: str) -> type:
    return type("Thing", (), {"name": name, "scheme": name, "abilities": None})


def test_the_installed_distributions_register_by_entry_point() -> None:
    infos = {(info.kind, info.name): info for info in Plugins().infos()}
    assert infos["backend", "oci"].distribution == "coopery-oci"
    assert infos["materializer", "conda"].distribution == "coopery-conda"
    assert infos["base source", "debian"].distribution == "coopery-debian"
    assert infos["backend", "oci"].version


@pytest.mark.parametrize(
    ("hook", "kind"),
    [
        ("coopery_register_backend", "backend"),
        ("coopery_register_materializer", "materializer"),
        ("coopery_register_base_source", "base source"),
        ("coopery_register_cache", "cache"),
    ],
)
def test_a_registered_thing_is_found_and_a_clash_names_both(hook: str, kind: str) -> None:
    mine = plugin(**{hook: lambda: named("mine")})
    plugins = Plugins([("one", mine)], discover=False)
    assert [(info.kind, info.name, info.distribution) for info in plugins.infos()] == [(kind, "mine", "one")]
    with pytest.raises(PluginError, match=r"'mine': (one and two|two and one)"):
        Plugins([("one", mine), ("two", plugin(**{hook: lambda: named("mine")}))], discover=False).infos()


@pytest.mark.processes
def test_who_asks_for_one_backend_imports_no_other() -> None:
    code = (
        "import sys; from coopery.plugins import Plugins; plugins = Plugins()\n"
        "assert plugins.backend('oci').name == 'oci'\n"
        "print(*sorted(name for name in sys.modules if name.startswith('coopery_') and name.endswith('.backend')))\n"
        "plugins.backends(); print('coopery_docker.backend' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["coopery_oci.backend", "True"]


@pytest.mark.processes
def test_a_build_imports_the_materializers_of_its_sections(tmp_path: Path) -> None:
    """What pip brings takes longer to import than such a build takes."""
    (tmp_path / "data").write_text("x")
    code = (
        "import sys; from coopery import Builder, Environment\n"
        "heavy = ('coopery_conda.materializer', 'coopery_pip.materializer')\n"
        "document = {'base': 'scratch', 'steps': [{'copy': 'data', 'to': '/data'}]}\n"
        "with Builder(home=sys.argv[1] + '/home', backend='oci') as builder:\n"
        "    builder.build(Environment.from_dict(document, sys.argv[1]))\n"
        "    print(*(name for name in heavy if name in sys.modules))\n"
        "    print(*sorted(builder.plugins_loaded.materializers(['pip'])))\n"
        "    print(*(name for name in heavy if name in sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["", "pip", "coopery_pip.materializer"]


def test_a_clash_is_found_whoever_is_asked_for() -> None:
    """A stranger's plugin may register any name, and is asked for all; only ours are known to bring one each."""
    mine = plugin(coopery_register_materializer=lambda: named("pip"))
    with pytest.raises(PluginError, match="two plugins register the materializer 'pip'"):
        Plugins([("other", mine)]).materializers(["pip"])
    assert set(Plugins([("other", mine)]).materializers(["conda"])) == {"conda", "pip"}


def test_a_misspelt_hook_fails_aloud() -> None:
    wrong = plugin(coopery_register_backends=lambda: named("x"))
    with pytest.raises(PluginError, match=r"mine: .*coopery_register_backends"):
        Plugins([("mine", wrong)], discover=False).infos()


def test_what_is_missing_says_what_to_install() -> None:
    plugins = Plugins(discover=False)
    with pytest.raises(PluginError, match="no backend called 'docker'") as caught:
        plugins.backend("docker")
    assert caught.value.remedy == "pip install coopery-docker"
    assert plugins.caches() == {}


def test_coopery_observe_event_sees_events() -> None:
    seen: list[Event] = []

    def watch(event: Event) -> None:
        seen.append(event)

    plugins = Plugins([("watcher", plugin(coopery_observe_event=watch))], discover=False)
    assert plugins.observed
    plugins.observe(Warned(message="hello"))
    assert seen == [Warned(message="hello")]
    assert not Plugins(discover=False).observed


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook.__name__)
def test_every_hook_states_its_behaviour(hook: Any) -> None:
    assert hook.__name__.startswith("coopery_")
    assert hook.__doc__
    assert "Called" in hook.__doc__, "say when and how often it is called"
