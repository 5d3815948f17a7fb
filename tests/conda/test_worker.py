"""The process that runs py-rattler: it serves, and whatever happens to it never takes us along."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from conda.desk import Desk
from conda.maker import Channel
from coopery.errors import StoreFull
from coopery.target import Resolved
from coopery_conda.fetch import Packages
from coopery_conda.process import Refusal, Worker, WorkerError
from soak import rounds

pytestmark = pytest.mark.processes

SOLVE = {
    "do": "solve",
    "channels": [],
    "specs": [],
    "subdirs": [],
    "virtual": [],
    "prefer": [],
    "prefer_names": [],
    "access": [],
}


def fake(tmp_path: Path, body: str, silence: float = 30.0) -> Worker:
    """A worker that runs *body* once it has read a request."""
    script = tmp_path / "fake.py"
    script.write_text("import os, sys, time, json\nsys.stdin.readline()\n" + textwrap.dedent(body))
    return Worker(tmp_path, silence=silence, argv=[sys.executable, str(script)])


def ask(worker: Worker, request: dict[str, Any] = SOLVE) -> Any:
    return worker.ask(request, print)


def test_rattler_is_never_imported_here(channel: Channel, tmp_path: Path) -> None:
    channel.add("tool")
    code = """
        import sys
        from pathlib import Path
        import coopery_conda.plugin
        assert not {"rattler", "coopery_conda.materializer", "attr", "rich", "click"} & sys.modules.keys(), sys.modules
        coopery_conda.plugin.coopery_register_materializer()
        from coopery_conda.process import Worker
        worker = Worker(Path(sys.argv[1]))
        request = {"do": "solve", "channels": [sys.argv[2]], "specs": ["tool"], "subdirs": ["linux-64", "noarch"]}
        found = worker.ask({**request, "virtual": [], "prefer": [], "prefer_names": [], "access": []}, print)
        assert [one["name"] for one in found] == ["tool"]
        assert not any(name.split(".")[0] in ("rattler", "asyncio") for name in sys.modules)
    """
    argv = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path / "repodata"), channel.root.as_uri()]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "runs", [pytest.param(3, id="short"), pytest.param(rounds(50, 200), id="long", marks=pytest.mark.slow)]
)
def test_every_run_of_the_worker_ends_well(channel: Channel, tmp_path: Path, runs: int) -> None:
    channel.add("tool")
    base = {**SOLVE, "channels": [channel.root.as_uri()], "subdirs": ["linux-64", "noarch"]}
    requests = f"{json.dumps({**base, 'specs': ['tool']})}\n{json.dumps({**base, 'specs': ['absent']})}\n"
    argv = [sys.executable, "-P", "-m", "coopery_conda.worker", str(tmp_path / "repodata")]
    for _ in range(runs):
        process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert process.stdin
        assert process.stdout
        process.stdin.write(requests.encode())
        process.stdin.flush()
        assert "result" in json.loads(process.stdout.readline())
        assert "refused" in json.loads(process.stdout.readline())
        _, printed = process.communicate()
        assert (process.returncode, printed) == (0, b"")


def test_a_refusal_leaves_the_worker_usable(channel: Channel, desk: Desk, target: Resolved, tmp_path: Path) -> None:
    channel.add("tool")
    worker = Worker(tmp_path / "repodata")
    base = {**SOLVE, "channels": [channel.root.as_uri()], "subdirs": ["linux-64", "noarch"]}
    with pytest.raises(Refusal):
        ask(worker, {**base, "specs": ["absent"]})
    assert [one["file_name"] for one in ask(worker, {**base, "specs": ["tool"]})] == ["tool-1.0-0.conda"]
    worker.close()
    worker.close()


def test_a_library_that_prints_is_not_taken_for_an_answer(tmp_path: Path) -> None:
    worker = fake(tmp_path, "print('Segmentation fault?', flush=True); sys.stdin.read()")
    with pytest.raises(WorkerError, match=r"answered b'Segmentation fault\?\\n', which is no answer"):
        ask(worker)


@pytest.mark.parametrize("answer", ["[]", '"result"', "{}", '{"id": 1}', "\\xff\\xfe", "9" * 5000, "NaN"])
def test_garbage_is_an_error(tmp_path: Path, answer: str) -> None:
    worker = fake(tmp_path, f"sys.stdout.buffer.write(b'{answer}\\n'); sys.stdout.flush(); sys.stdin.read()")
    with pytest.raises(WorkerError, match="which is no answer"):
        ask(worker)


def test_a_crash_keeps_what_was_printed(tmp_path: Path) -> None:
    worker = fake(
        tmp_path, "sys.stderr.write('Fatal Python error: PyGILState_Release'); sys.stderr.flush(); os.abort()"
    )
    with pytest.raises(WorkerError, match=r"(?s)ended by signal 6\n.*PyGILState_Release") as caught:
        ask(worker)
    assert caught.value.status == -signal.SIGABRT


def test_a_kill_hints_at_memory(tmp_path: Path) -> None:
    with pytest.raises(WorkerError, match=r"(?s)ended by signal 9.*memory"):
        ask(fake(tmp_path, "os.kill(os.getpid(), 9)"))


def test_a_worker_that_cannot_start(tmp_path: Path) -> None:
    with pytest.raises(WorkerError, match=r"cannot be started: .*No such file"):
        Worker(tmp_path, argv=[str(tmp_path / "absent")])


def test_a_worker_that_ends_without_an_answer(tmp_path: Path) -> None:
    with pytest.raises(WorkerError, match="ended with status 3"):
        ask(fake(tmp_path, "sys.exit(3)"))


def test_a_fault_in_the_worker_is_told(tmp_path: Path) -> None:
    worker = Worker(tmp_path / "repodata")
    with pytest.raises(WorkerError, match=r"the conda worker failed: KeyError: 'no such verb'"):
        ask(worker, {"do": "no such verb"})


def test_a_hanging_worker_is_ended(tmp_path: Path) -> None:
    worker = fake(tmp_path, "sys.stdin.read()", silence=0.3)
    with pytest.raises(WorkerError, match=r"said nothing for 0\.3 seconds") as caught:
        ask(worker)
    assert caught.value.status is None
    assert worker._process.returncode == -signal.SIGKILL


def test_progress_counts_as_a_word(tmp_path: Path) -> None:
    body = """
        for n in range(8):
            time.sleep(0.2)
            print(json.dumps({"progress": {"bytes": n}}), flush=True)
        print(json.dumps({"result": "done"}), flush=True)
    """
    steps: list[dict[str, Any]] = []
    assert fake(tmp_path, body, silence=1.0).ask(SOLVE, steps.append) == "done"
    assert [step["bytes"] for step in steps] == list(range(8))


def test_an_interrupt_ends_the_worker(tmp_path: Path) -> None:
    worker = fake(tmp_path, 'print(json.dumps({"progress": {"bytes": 1}}), flush=True); sys.stdin.read()')

    def interrupt(step: dict[str, Any]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        worker.ask(SOLVE, interrupt)
    assert worker._process.returncode is not None


def test_it_ends_with_its_parent_though_it_is_busy(tmp_path: Path) -> None:
    """The parent is killed in the middle of a request: nothing of it may go on working."""
    code = """
        import sys, socket
        from pathlib import Path
        from coopery_conda.process import Worker
        server = socket.create_server(("127.0.0.1", 0))
        worker = Worker(Path(sys.argv[1]))
        print(worker._process.pid, flush=True)
        url = f"http://127.0.0.1:{server.getsockname()[1]}/never-answers"
        request = {"do": "solve", "channels": [url], "specs": ["tool"], "subdirs": ["linux-64", "noarch"]}
        worker.ask({**request, "virtual": [], "prefer": [], "prefer_names": [], "access": []}, print)
    """
    argv = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path / "repodata")]
    parent = subprocess.Popen(argv, stdout=subprocess.PIPE)
    assert parent.stdout
    child = int(parent.stdout.readline())
    time.sleep(0.5)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 10
    while _alive(child) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not _alive(child)


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def test_a_full_disk_in_the_worker_is_a_full_disk_here(channel: Channel, desk: Desk, target: Resolved) -> None:
    channel.add("tool")
    artifacts = desk.lock("tool", target=target)
    packages = Packages(desk.root / "packages", desk.root / "staging")
    reply = {"refused": {"kind": "disk", "errno": 28, "message": os.strerror(28)}}
    worker = fake(desk.root, f"print(json.dumps({reply!r}), flush=True); sys.stdin.read()")
    with pytest.raises(StoreFull, match="no space left"):
        packages.fetch(artifacts, {"./channel": "file:///nowhere"}, lambda request: ask(worker, request))
    worker.close()
    assert list((desk.root / "staging").iterdir()) == []


def test_many_threads_have_a_worker_each(channel: Channel, desk: Desk, target: Resolved) -> None:
    channel.add("tool")
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda: found.append(desk.lock("tool", target=target)[0].file_name)) for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["tool-1.0-0.conda"] * 6
