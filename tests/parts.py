"""The real parts that tests use, and how each is tried: by working, not by being installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

from attrs import frozen

REPOSITORY = Path(__file__).parent.parent


@frozen
class Part:
    """One real part: ``tried`` says how in words; ``why_not`` is None where it works, else the reason."""

    name: str
    tried: str
    why_not: Callable[[], str | None]


def _command(*argv: str, program: str = "") -> Callable[[], str | None]:
    def why_not() -> str | None:
        if shutil.which(argv[0]) is None:
            return f"{program or argv[0]} is not installed"
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode == 0:
            return None
        lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        return lines[-1][:120]

    return why_not


def _mirror() -> str | None:
    try:
        from coopery_debian.mirror import reachable
    except ImportError as exc:
        return str(exc)
    return reachable()


def _channel() -> str | None:
    """The channel is made by `make channel`, once; tests do not make it behind each other's back."""
    made = REPOSITORY / "build" / "channel" / "noarch" / "repodata.json"
    return None if made.is_file() else "not made: run `make channel`"


def _index() -> str | None:
    """Whether the Python package index that pip is configured for answers."""
    argv = [sys.executable, "-m", "pip", "--disable-pip-version-check", "index", "versions", "six"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    return None if done.returncode == 0 else (done.stderr.strip().splitlines() or ["no answer"])[-1][:120]


def _second_python() -> str | None:
    return None if second_python() else "no other Python than the one that runs the tests has Coopery's libraries"


@cache
def second_python() -> str | None:
    """An interpreter of another minor version in ``.venv-second``, which `make setup` fills where there is one."""
    found = REPOSITORY / ".venv-second" / "bin" / "python"
    if not found.is_file():
        return None
    done = subprocess.run([found, "-c", "import coopery, attrs, zstandard"], capture_output=True, check=False)
    return str(found) if done.returncode == 0 else None


def _overlay() -> str | None:
    script = 'cd "$1" && mkdir l u w m && mount -t overlay overlay -o lowerdir=l,upperdir=u,workdir=w m'
    with tempfile.TemporaryDirectory() as folder:
        return _command("unshare", "--mount", "sh", "-c", script, "sh", folder)()


def _unprivileged() -> str | None:
    if os.geteuid() != 0:
        return None
    return None if shutil.which("setpriv") else "setpriv is not installed"


def _users() -> str | None:
    if os.geteuid() != 0:
        return "only root can be several users"
    return None if shutil.which("setpriv") else "setpriv is not installed"


def _docker() -> str | None:
    """Whether a daemon answers and runs a program: what `coopery doctor` tries."""
    import tempfile

    try:
        from coopery import Builder
        from coopery.events import ignore

        with tempfile.TemporaryDirectory() as home, Builder(home=home, backend="docker") as builder:
            builder.home.make()
            found = builder.backend(ignore).examine()
    except Exception as exc:
        return str(exc)[:120]
    return found.problem[:120] or None


def _buildah() -> str | None:
    """Whether it runs a program in a container of nothing: what `coopery doctor` tries."""
    try:
        from coopery_podman.buildah import Buildah

        Buildah().isolation()
    except Exception as exc:
        return str(exc)[:120]
    return None


def _podman_run() -> str | None:
    """Whether podman runs a program with no image: what `coopery doctor` tries."""
    import tempfile

    try:
        from coopery_podman.ways import find

        with tempfile.TemporaryDirectory() as folder:
            find(Path(folder))
    except Exception as exc:
        return str(exc)[:120]
    return None


def _dockerd() -> str | None:
    """A daemon of our own, in a network namespace of its own."""
    if os.geteuid() != 0:
        return "needs root"
    return _command("unshare", "--net", "dockerd", "--version", program="dockerd")()


def _apptainer() -> str | None:
    """Whether Apptainer runs a program for an ordinary user: what `coopery doctor` tries, steps included."""
    import ordinary

    reason = ordinary.why_not()
    if reason is not None:
        return reason
    code = (
        "import tempfile\n"
        "from coopery import Builder\n"
        "from coopery.events import ignore\n"
        "with tempfile.TemporaryDirectory() as home, Builder(home=home, backend='singularity') as builder:\n"
        "    builder.home.make()\n"
        "    found = builder.backend(ignore).examine()\n"
        "print(found.problem or next((line for line in found.details if 'runs no steps' in line), 'works'))\n"
    )
    argv = ordinary.argv(ordinary.python(), "-c", code)
    done = subprocess.run(argv, env=ordinary.environ(), cwd="/", capture_output=True, text=True, check=False)
    said = (done.stdout.strip() or done.stderr.strip() or "no answer").splitlines()[-1]
    return None if said == "works" else said[:120]


def _postgresql() -> str | None:
    """Whether a cluster can be made and started; its programs are not on the PATH, and refuse to run as root."""
    import tempfile

    from real_postgresql import RealPostgresql

    try:
        with tempfile.TemporaryDirectory() as folder:
            server = RealPostgresql(Path(folder))
            server.start()
            server.stop()
    except (OSError, AssertionError, subprocess.SubprocessError) as exc:
        return str(exc).strip().splitlines()[-1][:120]
    return None


def _redis() -> str | None:
    """A server of our own that answers."""
    import tempfile

    from real_redis import RealRedis

    if shutil.which("redis-cli") is None:
        return "redis-tools is not installed"
    try:
        with tempfile.TemporaryDirectory() as folder:
            server = RealRedis(Path(folder), durable=False)
            server.start()
            server.stop()
    except (OSError, AssertionError) as exc:
        return str(exc).strip().splitlines()[-1][:120]
    return None


def _slurm() -> str | None:
    """`scripts/start-slurm` starts it; its daemons want root, and a machine's own name."""
    if os.geteuid() != 0:
        return "needs root"
    missing = [name for name in ("munged", "slurmctld", "slurmd", "sbatch") if shutil.which(name) is None]
    return f"not installed: {', '.join(missing)} (scripts/install-engines)" if missing else None


def _sshd() -> str | None:
    """Whether a server of our own would start: with a key of its own, as root, who lets others in."""
    if os.geteuid() != 0:
        return "needs root"
    script = (
        "set -e; mkdir -p /run/sshd; ssh-keygen -q -t ed25519 -N '' -f \"$1/key\" >&2; "
        '"$(command -v sshd || echo /usr/sbin/sshd)" -t -f /dev/null -h "$1/key"'
    )
    with tempfile.TemporaryDirectory() as folder:
        return _command("sh", "-c", script, "sh", folder)()


def _docker_28() -> str | None:
    """`scripts/install-docker-28` puts it there; tests start its daemon beside the machine's."""
    program = REPOSITORY / "build" / "docker-28" / "usr" / "sbin" / "dockerd"
    if not program.is_file():
        return "not there: run scripts/install-docker-28"
    return _dockerd() or _command(str(program), "--version")()


PARTS = {
    part.name: part
    for part in (
        Part("engine-free", "coopery itself", lambda: None),
        Part("namespaces", "unshare --user --map-root-user true", _command("unshare", "-Ur", "true")),
        Part("mounts", "unshare --mount true", _command("unshare", "--mount", "true")),
        Part("users", "root, who can be several users", _users),
        Part("no-network", "unshare --net true", _command("unshare", "--net", "true")),
        Part("chroot", "chroot / true", _command("chroot", "/", "true")),
        Part("overlay", "an overlay is mounted in a namespace", _overlay),
        Part("debian", "InRelease fetched from apt's own mirror", _mirror),
        Part("gpgv", "gpgv --version", _command("gpgv", "--version")),
        Part("channel", "build/channel, made from real wheels", _channel),
        Part("skopeo", "skopeo --version", _command("skopeo", "--version")),
        Part("umoci", "umoci --version", _command("umoci", "--version")),
        Part("registry", "docker-registry --version", _command("docker-registry", "--version")),
        Part("index", "pip download of one small wheel's page", _index),
        Part("podman", "podman --runtime runc info", _command("podman", "--runtime", "runc", "info")),
        Part("buildah", "a program of 100 bytes run by it", _buildah),
        Part("podman-run", "a program of 100 bytes run by podman", _podman_run),
        Part("docker", "a program of 100 bytes run by it", _docker),
        Part("dockerd", "a network namespace for a daemon", _dockerd),
        Part("apptainer", "a program run by it, for an ordinary user", _apptainer),
        Part("mksquashfs", "mksquashfs -version", _command("mksquashfs", "-version")),
        Part("redis", "a server of our own", _redis),
        Part("postgresql", "a cluster of our own", _postgresql),
        Part("docker-28", "build/docker-28's dockerd --version", _docker_28),
        Part("sshd", "ssh-keygen, and sshd -t with its key", _sshd),
        Part("slurm", "slurmctld, slurmd and munged", _slurm),
        Part("second-python", ".venv-second/bin/python", _second_python),
        Part("ordinary-user", "setpriv, or not being root", _unprivileged),
    )
}


@cache
def why_not(name: str) -> str | None:
    """None when the part called *name* works here, else why not."""
    return PARTS[name].why_not()


def required() -> frozenset[str]:
    """Parts whose absence is a failure: ``COOPERY_REQUIRE``, names by comma, or ``all``."""
    names = os.environ.get("COOPERY_REQUIRE", "")
    return frozenset(PARTS) if names == "all" else frozenset(name for name in names.split(",") if name)


if __name__ == "__main__":
    for part in PARTS.values():
        sys.stdout.write(f"{part.name:16}{why_not(part.name) or 'works'}\n")
