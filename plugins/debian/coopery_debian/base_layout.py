"""The first layer: the links of a merged `/usr`, the folders every system has, and what Debian's scripts would write.

Small and without a version, since it takes the place of maintainer scripts that never run: accounts for root and
nobody, the order in which names are looked up, and `/bin/sh` where a shell is in.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from coopery.layer import Entry
from coopery.target import Parent

_FOLDERS: Final = (
    ("dev", 0o755),
    ("etc", 0o755),
    ("home", 0o755),
    ("opt", 0o755),
    ("proc", 0o555),
    ("root", 0o700),
    ("run", 0o755),
    ("sys", 0o555),
    ("tmp", 0o1777),
    ("usr", 0o755),
    ("var", 0o755),
    ("var/cache", 0o755),
    ("var/lib", 0o755),
    ("var/log", 0o755),
    ("var/tmp", 0o1777),
)
PARENTS: Final = tuple(Parent(f"/{path}", mode) for path, mode in _FOLDERS)
"""The same, as every layer above must repeat them."""

_FILES: Final = {
    "etc/group": "root:x:0:\ntty:x:5:\nmail:x:8:\nshadow:x:42:\nutmp:x:43:\nstaff:x:50:\nnogroup:x:65534:\n",
    "etc/hosts": "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n",
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
}
_LINKS: Final = {"amd64": ("bin", "lib", "lib64", "sbin"), "ppc64el": ("bin", "lib", "lib64", "sbin")}
_EVERYWHERE: Final = ("bin", "lib", "sbin")
_SHELLS: Final = ("dash", "bash")

SEARCH_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def shell_of(packages: Collection[str]) -> str:
    """``dash`` or ``bash``: what ``/bin/sh`` is; empty where no package brings one."""
    return next((name for name in _SHELLS if name in packages), "")


def base_layout(architecture: str, packages: Collection[str], merged: Collection[str]) -> tuple[Entry, ...]:
    """The entries of the first layer.

    Args:
        architecture: Debian's name of it.
        packages: names of all packages.
        merged: further folders that packages have content for and that are links into ``/usr``: ``lib32``.
    """
    links = sorted({*_LINKS.get(architecture, _EVERYWHERE), *merged})
    entries = [Entry(path, "directory", mode) for path, mode in _FOLDERS]
    entries += [Entry(f"usr/{name}", "directory", 0o755) for name in links]
    entries += [Entry(name, "symlink", 0o777, target=f"usr/{name}") for name in links]
    entries += [Entry(path, source=text.encode(), size=len(text)) for path, text in _FILES.items()]
    if shell := shell_of(packages):
        entries.append(Entry("usr/bin/sh", "symlink", 0o777, target=shell))
    return tuple(sorted(entries, key=lambda entry: entry.path))
