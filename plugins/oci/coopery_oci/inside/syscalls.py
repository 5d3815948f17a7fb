"""The few system calls that Python's standard library lacks. Errors come back as `OSError` with the path in hand.

Sources: mount(2), umount2(2), mount_setattr(2), pivot_root(2), unshare(2), prctl(2), capabilities(7).
"""

from __future__ import annotations

import ctypes
import os
from typing import Any, Final

NOSUID: Final = 2
NODEV: Final = 4
NOEXEC: Final = 8
BIND: Final = 4096
_REC: Final = 16384
_REMOUNT: Final = 32
_RDONLY: Final = 1
_PRIVATE: Final = 1 << 18
_DETACH: Final = 2

_AT_FDCWD: Final = -100
_AT_RECURSIVE: Final = 0x8000
_SYS_MOUNT_SETATTR: Final = 442  # the same on every architecture
_CLONE_NEWNS: Final = 0x00020000

_PR_SET_PDEATHSIG: Final = 1
_PR_CAPBSET_DROP: Final = 24
_PR_SET_CHILD_SUBREAPER: Final = 36
_PR_CAP_AMBIENT: Final = 47
_PR_CAP_AMBIENT_CLEAR_ALL: Final = 4

KEPT_CAPABILITIES: Final = frozenset({0, 1, 3, 4, 5, 6, 7, 8, 10, 31})
"""chown, dac_override, fowner, fsetid, kill, setgid, setuid, setpcap, net_bind_service, setfcap: what container
engines leave to root by default, less mknod, chroot, raw sockets and audit."""

_libc = ctypes.CDLL(None, use_errno=True)


def _call(name: str, *arguments: Any, path: str = "") -> None:
    if getattr(_libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}", path or None)


def mount(source: str, target: str, kind: str, flags: int = 0, options: str = "") -> None:
    """Mount a new file system of *kind* at *target*."""
    data = options.encode() if options else None
    _call("mount", os.fsencode(source), os.fsencode(target), kind.encode(), ctypes.c_ulong(flags), data, path=target)


def bind(source: str, target: str) -> None:
    """Show *source*, with everything mounted below it, at *target* as well."""
    _call("mount", os.fsencode(source), os.fsencode(target), None, ctypes.c_ulong(BIND | _REC), None, path=target)


def make_private() -> None:
    """Keep what is mounted from here on inside this namespace."""
    _call("mount", b"none", b"/", None, ctypes.c_ulong(_REC | _PRIVATE), None, path="/")


def make_read_only(target: str) -> None:
    """Make the mount at *target*, and all below it where the kernel can (5.12), read-only."""
    attributes = (ctypes.c_uint64 * 4)(_RDONLY, 0, 0, 0)
    size = ctypes.c_size_t(ctypes.sizeof(attributes))
    number, start = ctypes.c_long(_SYS_MOUNT_SETATTR), ctypes.c_int(_AT_FDCWD)
    flags = ctypes.c_uint(_AT_RECURSIVE)
    try:
        _call("syscall", number, start, os.fsencode(target), flags, ctypes.byref(attributes), size, path=target)
    except OSError:
        again = ctypes.c_ulong(BIND | _REMOUNT | _RDONLY | NOSUID | NODEV | NOEXEC)
        _call("mount", None, os.fsencode(target), None, again, None, path=target)


def unmount(target: str) -> None:
    """Take the mount at *target* away now; it ends when its last user does."""
    _call("umount2", os.fsencode(target), ctypes.c_int(_DETACH), path=target)


def enter_root(root: str) -> None:
    """Make the mount at *root* this process's ``/`` and let go of everything outside it, for good."""
    _call("unshare", ctypes.c_int(_CLONE_NEWNS))
    make_private()
    os.chdir(root)
    _call("pivot_root", b".", b".", path=root)  # pivot_root(2), "pivot_root(".", ".")": the old root lies on top
    unmount(".")
    os.chdir("/")


def adopt_orphans() -> None:
    """Become the parent of whatever the program leaves behind, so that it can be ended."""
    _call("prctl", ctypes.c_int(_PR_SET_CHILD_SUBREAPER), ctypes.c_ulong(1), 0, 0, 0)


def die_with_parent(signal_number: int) -> None:
    """Get *signal_number* when the parent ends."""
    _call("prctl", ctypes.c_int(_PR_SET_PDEATHSIG), ctypes.c_ulong(signal_number), 0, 0, 0)


def drop_ambient() -> None:
    """Hand no capability on to programs that are not root's."""
    _call("prctl", ctypes.c_int(_PR_CAP_AMBIENT), ctypes.c_ulong(_PR_CAP_AMBIENT_CLEAR_ALL), 0, 0, 0)


def bound_capabilities() -> None:
    """Take every capability but `KEPT_CAPABILITIES` away from this process and all that it starts."""
    with open("/proc/sys/kernel/cap_last_cap", encoding="ascii") as stream:
        last = int(stream.read())
    for capability in range(last + 1):
        if capability not in KEPT_CAPABILITIES:
            _call("prctl", ctypes.c_int(_PR_CAPBSET_DROP), ctypes.c_ulong(capability), 0, 0, 0)


def sync_disk(folder: str) -> None:
    """Have everything on the file system of *folder* written to the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        _call("syncfs", ctypes.c_int(descriptor), path=folder)
    finally:
        os.close(descriptor)
