"""Whether one value is what its setting takes, and the form that `Settings` keeps it in."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from attrs import frozen

from coopery.redact import masked
from coopery.settings.known import LISTS, TABLES

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_CHANNEL: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")
_SCHEME: Final = re.compile(r"[a-z][a-z0-9+-]{0,31}:[^\s\x00-\x1f\x7f]*")
_HOST: Final = re.compile(
    r"(?:\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,252}[A-Za-z0-9])?)(?::[0-9]{1,5})?"
)
_MIRROR_PATH: Final = re.compile(r"(?:/[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?)*")
_HOSTS: Final = re.compile(r"[A-Za-z0-9*.:\[][A-Za-z0-9*._:/\[\] ,-]*")
_UNSAFE: Final = re.compile(r"[\s\x00-\x1f\x7f\\\"'<>`{}|^]")
_CHOICES: Final = {"compression": ("gzip", "zstd"), "moved_base": ("keep", "rebuild")}
_WEB: Final = ("https", "http")
_SCHEMES: Final[Mapping[str, tuple[str, ...]]] = {
    "index_url": (*_WEB, "file"),
    "debian_mirror": (*_WEB, "file"),
    "channel_alias": (*_WEB, "file", "oci", "s3", "gcs"),
    "proxy": ("http", "https"),
}
_LONGEST: Final = 4096


class Wrong(Exception):  # noqa: N818 - says what the value is; callers say where it stands
    """A value that its setting does not take."""

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.message, self.remedy = message, remedy


@frozen
class Place:
    """Where relative paths start from, and what ``~`` stands for."""

    folder: Path
    own: Callable[[], Path]

    def absolute(self, text: str) -> str:
        """*text* as an absolute path. Links are left as they are."""
        import os.path

        if text == "~" or text.startswith("~/"):
            text = str(self.own()) + text[1:]
        return os.path.normpath(self.folder.absolute() / text)


def check(name: str, value: Any, folder: Path, own: Callable[[], Path]) -> Any:
    """*value* as `Settings` keeps the setting *name*.

    Args:
        name: a known setting.
        value: as TOML or a variable has it.
        folder: where relative paths start from.
        own: gives what ``~`` stands for.

    Raises:
        Wrong: it is of another type or form.
    """
    place = Place(folder, own)
    if name in TABLES:
        return _table(name, value, place)
    if name in LISTS:
        return _list(name, value, place)
    return _single(name, _text(value, "a string"), place)


def entry(name: str, key: str, value: Any, place: Place) -> tuple[str, str]:
    """One entry of the table *name*, checked.

    Raises:
        Wrong: its key or its value is of another form.
    """
    if name == "channels":
        return _channel_key(key), _channel(_text(value, "a string"), place)
    if name == "indexes":
        return _url(key, (*_WEB, "file")), _url(_text(value, "a string"), (*_WEB, "file"))
    return _host(key), _registry(_text(value, "a string"))


def _single(name: str, text: str, place: Place) -> str:
    if name in ("home", "ca_bundle"):
        return place.absolute(text)
    if name in _CHOICES:
        return _choice(text, _CHOICES[name])
    if name in _SCHEMES:
        return _url(text, _SCHEMES[name])
    if name == "cache":
        return _cache(text, place)
    if name == "leases":
        return _store(text, place)
    if name == "no_proxy" and not _HOSTS.fullmatch(text):
        raise Wrong(f"expected hosts by comma, got {_shown(text)}", "like localhost,.lan,10.0.0.0/8")
    if name == "backend" and not _NAME.fullmatch(text):
        raise Wrong(f"expected the name of a backend, got {_shown(text)}", "coopery plugins lists them")
    return text


def _table(name: str, value: Any, place: Place) -> dict[str, str]:
    if not isinstance(value, dict):
        raise Wrong(f"expected a table of strings, got {_shown(value)}", f'like [{name}], then "name" = "where"')
    return dict(entry(name, key, one, place) for key, one in value.items())


def _list(name: str, value: Any, place: Place) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise Wrong(f"expected a list of strings, got {_shown(value)}", f'like {name} = ["…"]')
    texts = [_text(one, "a string") for one in value]
    if name == "plain_http":
        return tuple(map(_host, texts))
    return tuple(map(place.absolute, texts))


def _text(value: Any, expected: str) -> str:
    if not isinstance(value, str) or not value or len(value) > _LONGEST:
        raise Wrong(f"expected {expected}, got {_shown(value)}")
    if any(not char.isprintable() for char in value):
        raise Wrong(f"expected {expected} without control characters, got {_shown(value)}")
    return value


def _choice(text: str, choices: tuple[str, ...]) -> str:
    if text not in choices:
        raise Wrong(f"expected {' or '.join(choices)}, got {_shown(text)}", near(text, choices))
    return text


def _url(text: str, schemes: tuple[str, ...]) -> str:
    """*text* without a slash at its end."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as exc:
        raise Wrong(f"expected a URL, got {_shown(text)}") from exc
    if parts.scheme not in schemes or "://" not in text or _UNSAFE.search(text) or port == 0:
        raise Wrong(f"expected a URL with {', '.join(f'{one}://' for one in schemes)}, got {_shown(text)}")
    if parts.scheme != "file" and not _HOST.fullmatch(parts.netloc.rpartition("@")[2]):
        raise Wrong(f"expected a URL with a host, got {_shown(text)}")
    return text.rstrip("/") if parts.path.strip("/") else text.rstrip("/") + ("/" if parts.scheme == "file" else "")


def _cache(text: str, place: Place) -> str:
    return " ".join(_store(one, place) for one in text.split() or [text])


def _store(text: str, place: Place) -> str:
    if not _SCHEME.fullmatch(text):
        raise Wrong(
            f"expected a cache store, got {_shown(text)}", "sqlite:, sqlite:/path/file.sqlite, or directory:/path"
        )
    scheme, _, rest = text.partition(":")
    path, mark, options = rest.partition("?")
    return f"{scheme}:{place.absolute(path)}{mark}{options}" if scheme in ("sqlite", "directory") and path else text


def _channel_key(key: str) -> str:
    if "://" in key:
        return _url(key, (*_WEB, "file"))
    if not _CHANNEL.fullmatch(key):
        raise Wrong(f"expected a channel as definitions name it, got {_shown(key)}", "like conda-forge")
    return key


def _channel(text: str, place: Place) -> str:
    if "://" in text:
        return _url(text, _SCHEMES["channel_alias"])
    if text.startswith(("/", "./", "../", "~/")) or text in (".", "..", "~"):
        return place.absolute(text)
    if not _CHANNEL.fullmatch(text):
        raise Wrong(f"expected a URL, a folder (./…) or the name of a channel, got {_shown(text)}")
    return text


def _host(text: str) -> str:
    if not _HOST.fullmatch(text):
        raise Wrong(f"expected a registry as host or host:port, got {_shown(text)}", "without https:// and path")
    return text.lower()


def _registry(text: str) -> str:
    host, slash, path = text.rstrip("/").partition("/")
    if not _HOST.fullmatch(host) or not _MIRROR_PATH.fullmatch(slash + path):
        raise Wrong(f"expected a registry as host[:port][/path], got {_shown(text)}", "without https://")
    return text.rstrip("/")


def _shown(value: Any) -> str:
    text = re.sub(r"://\S*@", "://***@", masked(repr(value)))  # what is no URL may hold a password anywhere before @
    return text if len(text) <= 200 else f"{text[:200]}…"


def near(text: str, choices: tuple[str, ...]) -> str:
    """``did you mean …?`` where one of *choices* is near, else an empty string."""
    from difflib import get_close_matches

    found = get_close_matches(text, choices, 1)
    return f"did you mean {found[0]}?" if found else ""
