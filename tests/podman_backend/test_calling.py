"""Programs that are absent, fail, hang or print anything: each becomes one of our errors, and nothing stays running."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from coopery.errors import BackendError
from coopery_podman import buildah
from coopery_podman.buildah import Buildah
from coopery_podman.calling import call, stream

Fake = Callable[[str, str], Path]


def test_what_it_printed_comes_back(fake: Fake) -> None:
    fake("buildah", "print('box'); print(json.dumps(sys.argv[1:]), file=sys.stderr)")
    assert Buildah().call(buildah.from_("scratch")) == "box"


def test_absent_it_says_what_to_install() -> None:
    with pytest.raises(BackendError, match="nosuchprogram is not installed") as caught:
        Buildah(program="nosuchprogram", backend="mine").version()
    assert caught.value.backend == "mine"


def test_absent_buildah_has_a_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BackendError, match="buildah is not installed") as caught:
        Buildah().version()
    assert "apt-get install buildah" in caught.value.remedy


def test_a_failure_says_what_it_said_and_which_command(fake: Fake) -> None:
    fake("buildah", "sys.stderr.buffer.write(b'Error: \\xff no such thing\\n'); sys.exit(125)")
    with pytest.raises(BackendError) as caught:
        Buildah().call(buildah.rm("box"))
    assert caught.value.message == "podman: buildah rm: exit status 125\nError: \ufffd no such thing"


def test_a_failure_names_no_argument(fake: Fake) -> None:
    fake("buildah", "sys.exit(1)")
    with pytest.raises(BackendError) as caught:
        Buildah().call(buildah.run("box", ["echo", "canary"], env={"A": "canary"}))
    assert "canary" not in str(caught.value)


def test_a_full_disk_has_a_remedy(fake: Fake) -> None:
    fake("buildah", "print('write /x: no space left on device', file=sys.stderr); sys.exit(125)")
    with pytest.raises(BackendError) as caught:
        Buildah().call(buildah.pull("x"))
    assert "image prune" in caught.value.remedy


def test_a_signal_is_named(fake: Fake) -> None:
    fake("buildah", "os.kill(os.getpid(), 9)")
    with pytest.raises(BackendError, match="signal 9 ended it"):
        Buildah().call(buildah.info())


def test_what_hangs_is_ended_with_its_children(fake: Fake, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    fake("buildah", f"child = os.fork()\nopen({str(pids)!r}, 'a').write(f'{{os.getpid()}} ')\ntime.sleep(60)")
    with pytest.raises(BackendError, match=r"buildah info did not end within 0\.5 s"):
        Buildah().call(buildah.info(), seconds=0.5)
    for pid in pids.read_text().split():
        assert _is_gone(int(pid))


def _is_gone(pid: int) -> bool:
    for _ in range(100):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


def test_versions_of_any_form(fake: Fake) -> None:
    fake("buildah", "print(json.dumps({'version': os.environ['SAID']}))")
    for said, expected in {"1.28.2": (1, 28, 2), "1.39.0-dev": (1, 39, 0), "2.0": (2, 0, 0)}.items():
        os.environ["SAID"] = said
        assert Buildah().version() == expected
    os.environ["SAID"] = "unknown"
    with pytest.raises(BackendError, match="says that its version is 'unknown'"):
        Buildah().version()
    del os.environ["SAID"]


def test_no_json_is_an_error(fake: Fake) -> None:
    fake("buildah", "print('host:')")
    with pytest.raises(BackendError, match="printed no JSON"):
        Buildah().info()


def test_a_stream_is_handed_on_and_its_failure_noticed(fake: Fake) -> None:
    program = fake("printer", "sys.stdout.buffer.write(b'x' * 3_000_000)\nsys.exit(int(sys.argv[1]))")
    pieces: list[bytes] = []
    assert stream((str(program), "0"), "podman", pieces.append) == 0
    assert sum(map(len, pieces)) == 3_000_000
    assert stream((str(program), "3"), "podman", pieces.append, allowed=(3,)) == 3
    with pytest.raises(BackendError, match="exit status 4"):
        stream((str(program), "4"), "podman", pieces.append, allowed=(3,))


def test_variables_and_folder(fake: Fake, tmp_path: Path) -> None:
    program = fake("shower", "print(os.environ['A'], os.getcwd())")
    assert call((str(program),), "podman", cwd=tmp_path, env={"A": "1"}, seconds=20) == f"1 {tmp_path}"
