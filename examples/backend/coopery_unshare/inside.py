"""Runs as process 1 of new namespaces: mounts, changes the root, starts the program, ends with its status.

Needs nothing but the standard library, and is started by its path.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
NAMES = ("etc/resolv.conf", "etc/hosts")


def main(folder: str) -> int:
    """Do what ``spec.json`` in *folder* says."""
    os.chdir(folder)
    with open("spec.json", encoding="utf-8", errors="surrogateescape") as file:
        spec = json.load(file)
    prepare(spec)
    os.chroot("root")
    os.chdir("/")
    main_process = os.fork()
    if main_process == 0:
        start(spec)
    while True:
        ended, status = os.wait()
        if ended == main_process:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def prepare(spec: dict[str, Any]) -> None:
    """The file system that the program sees, at ``root``."""
    layers = "lowerdir=points:image,upperdir=upper,workdir=work,redirect_dir=off,metacopy=off"
    mount("-t", "overlay", "overlay", "-o", layers, "root")
    mount("-t", "proc", "proc", "root/proc")
    mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", "root/dev")
    for name in DEVICES:
        bind(f"/dev/{name}", f"root/dev/{name}", writable=True)
    for name in NAMES if spec["network"] else ():
        if os.path.isfile(f"root/{name}") and not os.path.islink(f"root/{name}") and not os.path.islink("root/etc"):
            bind(f"/{name}", f"root/{name}", writable=False)
    for host, inside, writable in spec["mounts"]:
        bind(host, f"root{inside}", writable=writable)


def bind(host: str, target: str, *, writable: bool) -> None:
    """Mount the file or folder *host* at *target*."""
    if not os.path.isdir(host) and not os.path.exists(target):
        with open(target, "wb"):
            pass
    mount("--bind", host, target)
    if not writable:
        mount("-o", "remount,bind,ro", target)


def mount(*arguments: str) -> None:
    """Run ``mount``."""
    subprocess.run(["mount", *arguments], check=True)


def start(spec: dict[str, Any]) -> None:
    """Become the program; never returns."""
    who = spec["account"]
    try:
        os.makedirs(spec["workdir"], exist_ok=True)
        os.chdir(spec["workdir"])
        os.setgroups(who["groups"])
        os.setgid(who["gid"])
        os.setuid(who["uid"])
        os.execvpe(spec["argv"][0], spec["argv"], {"HOME": who["home"], **spec["env"]})  # noqa: S606 - no shell is wanted
    except OSError as exc:
        os.write(2, f"{spec['argv'][0]}: {exc.strerror}\n".encode(errors="surrogateescape"))
        os._exit(127)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
