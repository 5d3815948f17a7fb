"""No field of a setting, and no name, is taken for an option, another program, a path, a line or a command.

Definitions have their own such test with real builds (`tests/trunk/test_hostile_names.py`). Here: settings, references,
tags, indexes, channels, packages, helpers, and what the programs that we start are given. Source: the reliability
promises "no injection through any field" and "no argument injection".
"""

from __future__ import annotations

import json
import os
import re
import shlex
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from coopery import Environment
from coopery.errors import BaseError, DefinitionError, SettingsError, UsageError
from coopery.registry import helper
from coopery.registry.reference import parse
from coopery.settings import Settings
from coopery.settings.known import LISTS, NAMES, TABLES, VARIABLES
from coopery.settings.reading import load
from coopery.wire.child_env import child_env

MARK = "sentinel"
PAYLOADS = (
    *(f"a{sign}b" for sign in "\n\r\t\0\x1b\x07\x7f\x85\u2028\u2029\u202e\u200b"),
    *(f"{text}touch {MARK}" for text in ("; ", "&& ", "| ", "\n", "\r\n", "a'; ", 'a"; ', "a\\\n")),
    f"$(touch {MARK})",
    f"`touch {MARK}`",
    f"EOF\nRUN touch {MARK}\n",
    f"http://h/$(touch {MARK})",
    f"http://h/\nHost: evil\n\n{MARK}",
    "http://good.example@evil.example\\@x/",
    "http://evil.example#@good.example/",
    "http://[::1",
    "http://h:0/",
    "http://-x/",
    "-x",
    "--privileged",
    "@file",
    "# syntax=x",
    "",
    " ",
    "a" * 70_000,
)
"""What may not reach a file, an environment or an argument as anything but itself."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029\u202e\u200b]")


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working directory in which whoever acts on a payload leaves a file."""
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    assert not list(tmp_path.rglob(MARK))


# --- settings -------------------------------------------------------------------------------------


def _in_toml(name: str, payload: str) -> list[str]:
    """*payload* as the value of the setting *name*, and as a key where it has keys."""
    text = json.dumps(payload, ensure_ascii=False).replace("\x7f", "\\u007F")
    if name in LISTS:
        return [f"{name} = [{text}]"]
    if name in TABLES:
        key = {"channels": "ours", "indexes": "https://i.example/simple", "registries": "docker.io"}[name]
        return [f'{name} = {{"{key}" = {text}}}', f'{name} = {{{text} = "https://h.example/x"}}']
    return [f"{name} = {text}"]


@pytest.mark.parametrize("name", NAMES)
def test_a_hostile_setting_is_refused_or_harmless(desk: Path, name: str) -> None:
    path = desk / ".config" / "coopery" / "settings.toml"
    path.parent.mkdir(parents=True)
    for payload in PAYLOADS:
        for text in _in_toml(name, payload):
            path.write_text(text + "\n", encoding="utf-8")
            with suppress(SettingsError):
                _harmless(load({"HOME": str(desk)}, desk, system=desk / "none"))


@pytest.mark.parametrize("name", sorted(VARIABLES.keys() - {"home"}))
def test_a_hostile_variable_is_refused_or_harmless(desk: Path, name: str) -> None:
    told: list[str] = []
    for payload in PAYLOADS:
        environ = {"HOME": str(desk), VARIABLES[name]: payload}
        try:
            settings = load(environ, desk, system=desk / "none")
        except SettingsError as exc:
            told.append(str(exc))
        else:
            _harmless(settings)
    assert not [line for line in told if "\n" in line or len(line) > 1000]


def _harmless(settings: Settings) -> None:
    values: list[str] = [settings.cache, settings.backend, settings.ca_bundle, settings.no_proxy, settings.compression]
    values += [settings.index_url, settings.debian_mirror, settings.proxy, settings.channel_alias, str(settings.home)]
    values += [*settings.plain_http, *settings.trusted_projects]
    for table in (settings.channels, settings.indexes, settings.registries):
        values += [*table, *table.values()]
    assert not [value for value in values if _CONTROL.search(value) or value.startswith("-")]
    assert all(value.isprintable() for value in child_env(settings).values())
    for url in (settings.index_url, settings.debian_mirror, settings.proxy, *settings.indexes.values()):
        assert not re.search(r"[\s\\]", url), url


def test_the_figures_of_the_promise() -> None:
    fields = len(NAMES) + len(TABLES) + len(VARIABLES) - 1
    assert len(PAYLOADS) * fields >= 300
    assert len(HOSTILE) >= 200


# --- names ----------------------------------------------------------------------------------------

_SIGNS = (
    *"\n\r\t\0\x0b\x1b\x7f !\"#$%&'()*,;<>?[\\]^`{|}~",
    "\u0085", "\u00a0", "\u2028", "\u202e", "\u200b", "\ufeff", "é", "ａ", "\U0001f600",
)  # fmt: skip
_WHOLE = (
    *("--privileged", "--help", "--index-url=http://evil.example", "--home=/", "--", "-", "-e .", "-r/etc/passwd"),
    *("..", ".", "../x", "a/../b", "/etc/passwd", "//x", "a//b", "oci:..", "dir:/etc", "file:///etc/passwd"),
    *("@f", "@", "a@", "a@b", ":", "a:", ":a", "http://", "http://[::1", "a" * 5000, "%2e%2e/x", "%00", "a=b", "a+b c"),
)
_AROUND = (("", "a"), ("a", ""), ("a", "a"), ("-", "a"))
HOSTILE: tuple[str, ...] = tuple(
    dict.fromkeys(
        (
            *(f"{before}{sign}{after}" for sign in _SIGNS for before, after in _AROUND),
            *(f"-{letter}" for letter in "abcefhikmopqrtvwx"),
            *_WHOLE,
        )
    )
)


def _image(name: str) -> str:
    return str(parse(name))


def _repository(name: str) -> str:
    return str(parse(f"h.example/{name}"))


def _tag(name: str) -> str:
    return str(parse(f"h.example/repository:{name}"))


def _definition(**sections: Any) -> Environment:
    return Environment.from_dict({"base": "scratch", "target": {"glibc": "2.36"}, **sections})


def _index(name: str) -> str:
    pip = _definition(pip={"requirements": ["a"], "index_url": f"https://{name}/simple"}).pip
    return pip.index_url if pip else ""


def _index_path(name: str) -> str:
    pip = _definition(pip={"requirements": ["a"], "index_url": f"https://h.example/{name}/simple"}).pip
    return pip.index_url if pip else ""


def _channel(name: str) -> str:
    conda = _definition(conda={"channels": [name], "dependencies": ["a"]}).conda
    return conda.channels[0] if conda and conda.channels else ""


def _package(name: str) -> str:
    conda = _definition(conda={"channels": ["c"], "dependencies": [name]}).conda
    return conda.dependencies[0] if conda else ""


def _requirement(name: str) -> str:
    pip = _definition(pip={"requirements": [name]}).pip
    return "\n".join(pip.requirements) if pip else ""


def _constraint(name: str) -> str:
    pip = _definition(pip={"requirements": ["a"], "constraints": [name]}).pip
    return "\n".join(pip.constraints) if pip else ""


def _base(name: str) -> str:
    return str(Environment.from_dict({"base": {"image": name}}).base)


_WORD = r"[A-Za-z0-9_.:/@\[\]+=-]*"
DOORS: Mapping[str, tuple[Callable[[str], str], str]] = {
    "image": (_image, rf"(?!-){_WORD}"),
    "repository": (_repository, rf"h\.example/(?!-){_WORD}"),
    "tag": (_tag, rf"h\.example/repository:(?!-){_WORD}"),
    "base": (_base, rf"ImageBase\(image='(?!-){_WORD}'\)"),
    "index host": (_index, r"https://(?!-)[A-Za-z0-9_.:\[\]-]+([/?#][!-~]*)?"),
    "index path": (_index_path, r"https://h\.example/[!-~]*"),
    "channel": (_channel, r"(?!-)[ -~]*|\.{0,2}/[^\x00-\x1f]*|file:///[!-~]*"),
    "package": (_package, r"(?!-)[ -~]+"),
    "requirement": (_requirement, r"(?!-)[ -~]*"),
    "constraint": (_constraint, r"(?!-)[ -~]*"),
    "helper": (helper.check_name, r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}"),
}
"""Where names come in, and what may come through."""


@pytest.mark.parametrize("door", DOORS)
def test_hostile_names(desk: Path, door: str) -> None:
    enter, sound = DOORS[door]
    refused = 0
    for name in HOSTILE:
        try:
            through = enter(name)
        except (DefinitionError, UsageError):
            refused += 1
        else:
            assert re.fullmatch(sound, through), (name, through)
    assert refused >= len(HOSTILE) // 2


# --- what other programs are given ----------------------------------------------------------------


def _fake(folder: Path, name: str, answer: str = "", status: int = 0) -> Path:
    """A program that writes down its arguments, prints *answer* and ends."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    seen = shlex.quote(str(folder / f"{name}.argv"))
    path.write_text(
        f"#!/bin/sh\nprintf '%s\\n' \"$@\" >> {seen}\ncat > /dev/null\necho {shlex.quote(answer)}\nexit {status}\n"
    )
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return folder / f"{name}.argv"


@pytest.mark.processes
def test_a_helper_gets_one_word_and_the_host_by_its_input(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    argv = _fake(desk / "bin", "docker-credential-pass", '{"Username": "ada", "Secret": "canary"}')
    monkeypatch.setenv("PATH", f"{desk / 'bin'}{os.pathsep}{os.environ['PATH']}")
    for host in ("h.example:5000", "--help", f"$(touch {MARK})", "a\nb"):
        found = helper.ask("pass", host)
        assert found is not None
    assert set(argv.read_text().splitlines()) == {"get"}


def test_a_hostile_helper_is_never_started(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(desk))
    for name in ("-x", "../evil", "a/b", "a b", "a;b", "", "a\n"):
        with pytest.raises(UsageError, match="no name of a credential helper"):
            helper.ask(name, "h.example")


@pytest.mark.processes
def test_gpgv_gets_paths_of_our_own_making_only(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from coopery_debian.signature import Keys, verify

    argv = _fake(desk / "bin", "gpgv", "[GNUPG:] NODATA 1")
    monkeypatch.setenv("PATH", f"{desk / 'bin'}{os.pathsep}{os.environ['PATH']}")
    for payload in PAYLOADS:
        with pytest.raises(BaseError):
            verify(payload.encode(errors="surrogatepass"), Keys((payload.encode(),)), f"http://h/{payload}")
    options = {"--quiet", "--homedir", "--status-fd", "1", "--output", "--keyring"}
    others = set(argv.read_text().splitlines()) - options
    assert all(Path(word).is_absolute() and "coopery-gpgv-" in word for word in others), others


def test_uv_gets_no_word_of_a_definition_as_an_option(desk: Path) -> None:
    from coopery_pip import uv
    from coopery_pip.machine import Machine
    from coopery_pip.sources import Source

    places = [f"https://h.example/{name}" for name in HOSTILE]
    machine = Machine("3.12.4", "x86_64", 36)
    question = uv.Question(desk, HOSTILE, HOSTILE, [Source(place, place) for place in places], machine)
    argv = uv.arguments(question, desk / "cache")
    assert argv[argv.index("--") + 1 :] == [str(desk / "requirements.in")]
    assert all(word.startswith("--") or word in ("pip", "compile") for word in argv[: argv.index("--")])
    assert not any("h.example" in word for word in argv)
    variables = uv._named(question.sources)
    assert len(variables["UV_INDEX"].split()) + len(variables["UV_DEFAULT_INDEX"].split()) == len(places)


def test_the_conda_worker_gets_a_folder_alone(desk: Path) -> None:
    """Specs, channels and logins go to it by its input; see `coopery_conda.process.Worker`."""
    import inspect

    from coopery_conda import process

    (line,) = [line for line in inspect.getsource(process.Worker).splitlines() if "coopery_conda.worker" in line]
    assert 'sys.executable, "-P", "-m", "coopery_conda.worker", str(repodata)' in line
