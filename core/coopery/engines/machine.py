"""What the machine under the engines has: a cache folder, room, namespaces, programs that plugins use, a way out."""

from __future__ import annotations

import getpass
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from coopery import private
from coopery.engines.probe import first_line, tried
from coopery.errors import CooperyError

if TYPE_CHECKING:
    from coopery.build import Builder
    from coopery.engines.doctor import Finding

    Make = Callable[..., Finding]

LITTLE: Final = 5_000_000_000
"""Bytes of free disk below which a large environment may not fit."""


def machine(builder: Builder, make: Make) -> Iterator[Finding]:
    """One finding for each part; *make* is the class of findings."""
    yield _folder(builder, make)
    yield _disk(builder, make)
    if sys.platform == "linux":
        yield _namespaces(make)
        yield _ranges(make)
    yield _program("gpgv", "Debian bases cannot be verified", "apt install gpgv", make)
    yield _uv(make)
    yield _network(builder, make)
    yield _logins(builder, make)


def _folder(builder: Builder, make: Make) -> Finding:
    root = builder.home.root
    found, problem = root.exists(), ""
    try:
        if found:
            private.check_folder(root)
    except CooperyError as exc:
        problem = exc.message
    above = next(path for path in (root, *root.parents) if path.exists())
    if not problem and not os.access(above, os.W_OK):
        problem = f"{above} cannot be written"
    details = (str(root) if found else f"{root} (made by the first build)",)
    remedy = "set COOPERY_HOME to a folder of yours" if problem else ""
    return make("machine", "cache folder", found, not problem, "", details, problem, remedy)


def _disk(builder: Builder, make: Make) -> Finding:
    root = builder.home.root
    above = next(path for path in (root, *root.parents) if path.exists())
    free = shutil.disk_usage(above).free
    problem = f"{free / 1e9:.1f} GB are free: a large environment may not fit" if free < LITTLE else ""
    remedy = "coopery gc, or set COOPERY_HOME to a larger disk" if problem else ""
    return make("machine", "disk", True, not problem, "", (f"{free / 1e9:.1f} GB free",), problem, remedy)


def _namespaces(make: Make) -> Finding:
    works, said = tried(("unshare", "--user", "--map-root-user", "true"))
    remedy = "sysctl -w user.max_user_namespaces=15000 kernel.unprivileged_userns_clone=1, or build as root"
    return make(
        "machine",
        "user namespaces",
        True,
        works,
        "",
        ("allowed",) if works else (),
        "" if works else f"rootless engines cannot work: {said.strip()}",
        "" if works else remedy,
    )


def _ranges(make: Make) -> Finding:
    """Ranges of ids that rootless engines give to the users of an image. Source: subuid(5)."""
    user, uid = _user(), os.geteuid()
    if uid == 0:
        return make("machine", "subordinate ids", True, True, "", ("not needed by root",))
    missing = [name for name in ("subuid", "subgid") if not _listed(Path("/etc", name), user, uid)]
    problem = f"/etc/{' and /etc/'.join(missing)} has no range for {user}" if missing else ""
    remedy = f"usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {user}, as root" if missing else ""
    details = () if missing else (f"{user} has a range",)
    return make("machine", "subordinate ids", not missing, not missing, "", details, problem, remedy)


def _listed(path: Path, user: str, uid: int) -> bool:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    return any(line.partition(":")[0] in (user, str(uid)) for line in lines)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a uid without a name
        return str(os.geteuid())


def _program(name: str, without: str, remedy: str, make: Make) -> Finding:
    version = first_line((name, "--version"))
    found = bool(version)
    return make(
        "machine", name, found, found, version, (), "" if found else f"not found: {without}", "" if found else remedy
    )


def _uv(make: Make) -> Finding:
    """It comes with the pip materializer, as a program of its own beside Python's."""
    beside = Path(sys.executable).with_name("uv")
    version = first_line((str(beside), "--version")) or first_line(("uv", "--version"))
    needed = find_spec("coopery_pip") is not None
    problem = "not found: pip sections cannot be resolved" if needed and not version else ""
    remedy = "pip install --force-reinstall coopery-pip" if problem else ""
    details = () if needed else ("not needed: coopery-pip is not installed",)
    return make("machine", "uv", bool(version), not problem, version, details, problem, remedy)


def _network(builder: Builder, make: Make) -> Finding:
    from coopery.redact import masked
    from coopery.wire.proxies import read
    from coopery.wire.trust import bundle, context

    path = bundle(builder.settings)
    proxies = read(builder.settings)
    through = masked(proxies.https or proxies.http)
    details = (f"certificates: {path or 'the system’s'}", f"proxy: {through or 'none'}")
    problem = remedy = ""
    try:
        context(path)
    except CooperyError as exc:
        problem, remedy = exc.message, exc.remedy
    return make("machine", "network", True, not problem, "", details, problem, remedy)


def _logins(builder: Builder, make: Make) -> Finding:
    """Hosts of registries for which a login is known; none is no problem."""
    try:
        found = [one.host for one in builder.settings_report().logins if one.of == "registry" and one.found]
    except CooperyError as exc:
        return make("machine", "registry logins", True, False, "", (), exc.message, exc.remedy)
    details = (", ".join(dict.fromkeys(found)) or "none known; docker login or podman login makes one",)
    return make("machine", "registry logins", bool(found), True, "", details)
