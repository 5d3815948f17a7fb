"""The root file system of one run: the unpacked image underneath, whatever the program writes in a private place.

Paths inside the image come with their symlinks already followed (`coopery_oci.process`), so that nothing made here can
land outside the root.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from collections.abc import Callable
from typing import Any, Final

from coopery_oci.inside import syscalls

DEVICES: Final = ("null", "zero", "full", "random", "urandom", "tty")
_LINKS: Final = {"fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2", "ptmx": "pts/ptmx"}
_PROTECTED: Final = ("sys", "sysrq-trigger", "irq", "bus")
"""Parts of /proc that change the whole machine; container engines make the same ones read-only."""


def build(spec: dict[str, Any]) -> None:
    """Make ``scratch/root`` as *spec* says.

    Raises:
        OSError: this machine does not allow it; another way must be tried.
    """
    root = f"{spec['scratch']}/root"
    os.mkdir(root)
    if not spec["isolated"]:
        _copy(spec["image"], root)
    else:
        syscalls.make_private()
        _overlay(spec["image"], spec["scratch"], root, user_namespace=spec["user_namespace"])
        _system(root, strict=spec["real_root"])
    for path in spec["folders"]:
        os.makedirs(root + path, exist_ok=True)
    for path, text in spec["files"].items():
        _replace(root + path, text)
    if spec["isolated"]:
        for source, path in spec["mounts"]:
            _bind(source, root + path)
            if path in spec["read_only"]:
                syscalls.make_read_only(root + path)
    elif spec["chroot"]:
        _make_devices(f"{root}/dev")


def remove(scratch: str, *, mounted: bool) -> None:
    """Unmount and delete everything that `build` made and the program wrote. Nothing to do is fine."""
    if mounted:
        with contextlib.suppress(OSError):
            syscalls.unmount(f"{scratch}/root")
    shutil.rmtree(scratch, onerror=_open_up)


def _overlay(image: str, scratch: str, root: str, *, user_namespace: bool) -> None:
    """The image below, an empty folder above; where the kernel has no overlay for us, a private copy.

    Folders are named by descriptors, since the option string has no safe spelling for colons and commas.
    """
    folders = [image, f"{scratch}/upper", f"{scratch}/work"]
    for folder in folders[1:]:
        os.mkdir(folder)
    shutil.copystat(image, folders[1])
    opened = [os.open(folder, os.O_PATH | os.O_DIRECTORY) for folder in folders]
    lower, upper, work = (f"/proc/self/fd/{descriptor}" for descriptor in opened)
    extended = ",userxattr" if user_namespace else ""
    try:
        syscalls.mount("overlay", root, "overlay", 0, f"lowerdir={lower},upperdir={upper},workdir={work}{extended}")
    except OSError:
        _copy(image, root)
        syscalls.bind(root, root)
    finally:
        for descriptor in opened:
            os.close(descriptor)


def _copy(image: str, root: str) -> None:
    import subprocess  # only here: the usual run does without

    argv = ["cp", "-a", "--reflink=auto", "--", f"{image}/.", root]
    done = subprocess.run(
        argv, check=False, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    if done.returncode:
        raise OSError(5, f"the image cannot be copied: {done.stderr.decode(errors='replace')[-500:]}", root)


def _system(root: str, *, strict: bool) -> None:
    """/proc, /sys and /dev. *strict*: the caller is root, so what protects the machine from the image must work."""
    for name in ("proc", "sys", "dev"):
        _folder(f"{root}/{name}")
    try:
        syscalls.mount("proc", f"{root}/proc", "proc", syscalls.NOSUID | syscalls.NODEV | syscalls.NOEXEC)
    except OSError:  # parts of the host's own /proc are hidden, as inside a container: the kernel wants no clear view
        syscalls.bind("/proc", f"{root}/proc")
    syscalls.bind("/sys", f"{root}/sys")
    protected = [f"{root}/proc/{name}" for name in _PROTECTED if os.path.exists(f"{root}/proc/{name}")]
    for path in protected:
        syscalls.bind(path, path)
    for path in (*protected, f"{root}/sys"):
        with contextlib.nullcontext() if strict else contextlib.suppress(OSError):
            syscalls.make_read_only(path)
    _devices(f"{root}/dev")


def _devices(dev: str) -> None:
    syscalls.mount("tmpfs", dev, "tmpfs", syscalls.NOSUID, "mode=755,size=64k")
    for name in DEVICES:
        if os.path.exists(f"/dev/{name}"):
            _bind(f"/dev/{name}", f"{dev}/{name}")
    for name in ("pts", "shm"):
        os.mkdir(f"{dev}/{name}")
    syscalls.mount("tmpfs", f"{dev}/shm", "tmpfs", syscalls.NOSUID | syscalls.NODEV, "mode=1777")
    with contextlib.suppress(OSError):  # only programs that open terminals of their own miss it
        syscalls.mount("devpts", f"{dev}/pts", "devpts", syscalls.NOSUID | syscalls.NOEXEC, "newinstance,ptmxmode=666")
    for name, target in _LINKS.items():
        os.symlink(target, f"{dev}/{name}")


def _make_devices(dev: str) -> None:
    """Device files in a private copy, for a root that may not mount."""
    _folder(dev)
    for name in DEVICES:
        with contextlib.suppress(OSError):  # a container's root may lack mknod; programs then say what they miss
            if not os.path.lexists(f"{dev}/{name}"):
                os.mknod(f"{dev}/{name}", 0o666 | stat.S_IFCHR, os.stat(f"/dev/{name}").st_rdev)
                os.chmod(f"{dev}/{name}", 0o666)  # noqa: S103 - as these devices have it everywhere


def _folder(path: str) -> None:
    """A folder in the root: an image may have none where the system's belong, or a symlink, or anything."""
    if os.path.lexists(path) and not stat.S_ISDIR(os.lstat(path).st_mode):
        os.unlink(path)
    os.makedirs(path, exist_ok=True)


def _bind(source: str, target: str) -> None:
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
    elif not os.path.exists(target):
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.mknod(target, 0o644 | stat.S_IFREG)
    syscalls.bind(source, target)


def _replace(path: str, text: str) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    with open(path, "x", encoding="utf-8", errors="surrogateescape") as stream:
        stream.write(text)


def _open_up(function: Callable[[str], object], path: str, _error: object) -> None:
    """After an error of shutil.rmtree: what the program, or overlayfs, closed is opened and tried once more."""
    with contextlib.suppress(OSError):
        for folder in (os.path.dirname(path), path):
            if not os.path.islink(folder):
                os.chmod(folder, 0o700)
        if function in (os.unlink, os.rmdir):
            function(path)
        else:
            shutil.rmtree(path, ignore_errors=True)
