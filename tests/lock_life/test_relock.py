"""Locks are brought up to date, and moved on purpose: what nobody asked to move stays where it was."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from attrs import evolve

from coopery import Builder
from coopery.errors import StaleLock, UsageError
from coopery.lockfile import read
from lock_life.conftest import Project

pytestmark = pytest.mark.processes


def locked(project: Project, platform: str = "linux/amd64") -> dict[str, str]:
    found = read(project.lock).of(platform)
    assert found is not None
    return {artifact.name: artifact.version for artifact in found.lock.artifacts}


def newer(project: Project) -> None:
    """A newer version of every package."""
    project.add("tool", "3.0", depends=["library"])
    for name in ("library", "other", "extra"):
        project.add(name, "9.0")


def test_the_first_lock(project: Project) -> None:
    environment = project.define("tool", "other")
    found = project.builder.relock(environment)
    assert found.changed
    assert not project.lock.exists(), "only saving writes"
    found.save()
    assert locked(project) == {"tool": "2.0", "library": "1.0", "other": "1.0"}
    text = project.lock.read_text()
    assert str(project.folder) not in text
    assert "://" not in text


def test_a_lock_that_answers_is_left_as_it_is(project: Project) -> None:
    environment = project.define("tool", "other")
    project.write_lock(environment)
    before = project.lock.stat()
    newer(project)
    project.events.clear()
    found = project.builder.relock(environment)
    assert not found.changed
    found.save()
    assert project.lock.stat().st_mtime_ns == before.st_mtime_ns
    assert project.events == []


def test_one_changed_pin_moves_one_package(project: Project) -> None:
    project.write_lock(project.define("tool", "other"))
    newer(project)
    (change,) = project.builder.relock(project.define("tool=1.0", "other")).changes
    assert change.lines == ("  tool 2.0 0 -> 1.0 0",)
    assert change.reasons == ("tool=1.0: tool 2.0 0 is locked",)


def test_one_more_package_moves_nothing(project: Project) -> None:
    project.write_lock(project.define("tool", "other"))
    newer(project)
    (change,) = project.builder.relock(project.define("tool", "other", "extra")).changes
    assert change.lines == ("+ extra 9.0 0",)


def test_a_package_that_goes_takes_what_only_it_needed(project: Project) -> None:
    project.write_lock(project.define("tool", "other"))
    newer(project)
    (change,) = project.builder.relock(project.define("other")).changes
    assert change.lines == ("- library 1.0 0", "- tool 2.0 0")


def test_other_words_for_the_same_are_written_down_without_a_solver(project: Project) -> None:
    project.write_lock(project.define("tool", "other"))
    newer(project)
    project.events.clear()
    found = project.builder.relock(project.define("tool>=2,<3", "other"))
    assert found.changed
    assert found.changes[0].lines == ()
    assert not project.solved()
    found.save()
    assert "tool>=2,<3" in project.lock.read_text()
    project.builder.check_lock(project.define("tool>=2,<3", "other"))


def test_update_of_one_package_moves_it_alone(project: Project) -> None:
    environment = project.define("tool", "other")
    project.write_lock(environment)
    newer(project)
    found = project.builder.relock(environment, update=["Tool"])
    assert found.changes[0].lines == ("  tool 2.0 0 -> 3.0 0",)
    assert found.changes[0].reasons == ()
    found.save()
    assert locked(project) == {"tool": "3.0", "library": "1.0", "other": "1.0"}


def test_update_of_everything(project: Project) -> None:
    environment = project.define("tool", "other")
    project.write_lock(environment)
    newer(project)
    project.write_lock(environment, update=True)
    assert locked(project) == {"tool": "3.0", "library": "9.0", "other": "9.0"}


def test_a_name_that_is_not_locked(project: Project) -> None:
    environment = project.define("tool", "other")
    with pytest.raises(UsageError, match="there is no lock to move it in"):
        project.builder.relock(environment, update=["tool"])
    project.write_lock(environment)
    with pytest.raises(UsageError) as caught:
        project.builder.relock(environment, update=["libary", "tool"])
    assert "libary: no package of that name" in caught.value.message
    assert "library" in caught.value.remedy


def test_what_was_built_is_what_is_locked(project: Project) -> None:
    environment = project.define("tool", "other")
    image = project.builder.build(environment)
    newer(project)
    project.write_lock(environment)
    assert read(project.lock).sections[0].lock.digest == image.lock


def test_what_was_built_from_a_stale_lock_is_what_is_locked_next(project: Project) -> None:
    project.write_lock(project.define("tool", "other"))
    changed = project.define("tool=1.0", "other")
    project.builder.build(changed)
    project.events.clear()
    project.write_lock(changed)
    assert not project.solved()
    assert locked(project) == project.versions(changed)
    project.events.clear()
    assert project.builder.build(changed)
    assert project.warnings() == []


def test_several_platforms(project: Project, elsewhere: Callable[[], Builder]) -> None:
    project.channel.add("only", subdir="linux-64")
    project.channel.add("only", subdir="linux-aarch64")
    project.channel.add("pure", noarch="generic")
    environment = project.define("only", "pure", target={"glibc": "2.36"})
    project.write_lock(environment, platforms=["linux/arm64", "linux/amd64"])
    file = read(project.lock)
    assert file.platforms == ("linux/amd64", "linux/arm64")
    subdirs = [sorted(a.subdir for a in section.lock.artifacts) for section in file.sections]
    assert subdirs == [["linux-64", "noarch"], ["linux-aarch64", "noarch"]]
    arm = evolve(environment, target=evolve(environment.target, platform="linux/arm64"))
    assert elsewhere().build(arm, frozen=True).lock == file.sections[1].lock.digest
    again = project.builder.relock(project.define("only", target={"glibc": "2.36"}))
    assert [change.platform for change in again.changes] == ["linux/amd64", "linux/arm64"], "all that the file has"


def test_a_file_without_the_platform_is_left_aside_with_a_warning(project: Project) -> None:
    environment = project.define("tool", "other")
    project.write_lock(environment)
    project.channel.add("tool", subdir="linux-aarch64", version="1.0")
    arm = project.define("tool", target={"glibc": "2.36", "platform": "linux/arm64"})
    project.builder.build(arm)
    (warning,) = project.warnings()
    assert "no packages for linux/arm64" in warning
    with pytest.raises(UsageError, match="no packages for linux/arm64"):
        project.builder.build(arm, lock=project.lock)
    with pytest.raises(StaleLock):
        project.builder.build(arm, frozen=True)


def test_check_looks_and_fetches_nothing(project: Project) -> None:
    environment = project.define("tool", "other")
    with pytest.raises(StaleLock, match="is not there"):
        project.builder.check_lock(environment)
    project.write_lock(environment)
    project.builder.check_lock(environment)
    project.builder.check_lock(project.define("tool>=1", "other"))
    changed = project.define("tool=1.0", "other", "extra")
    project.channel.root.rename(project.folder / "gone")
    with pytest.raises(StaleLock) as caught:
        project.builder.check_lock(changed)
    assert caught.value.reasons == ("extra: nothing of that name is locked", "tool=1.0: tool 2.0 0 is locked")


# --- facts and bases --------------------------------------------------------------------------------------------------


def test_a_target_with_less_is_locked_anew_and_one_with_more_is_not(project: Project) -> None:
    project.write_lock(project.define("tool", "other"))
    newer(project)
    (less,) = project.builder.relock(project.define("tool", "other", target={"glibc": "2.28"})).changes
    assert less.reasons == ("glibc: locked for 2.36, now 2.28",)
    assert less.lines == (), "what fits stays"
    more = project.define("tool", "other", target={"glibc": "2.39"})
    project.events.clear()
    image = project.builder.build(more)
    assert not project.solved()
    assert "glibc: locked for 2.36, now 2.39" in project.warnings()[0]
    assert image.lock != read(project.lock).sections[0].lock.digest, "the recorded facts are the real ones"


def test_a_channel_that_went_takes_its_packages(project: Project) -> None:
    project.write_lock(project.define("tool", "other"))
    (project.folder / "second").symlink_to("channel")
    moved = project.define("tool", "other", conda={"channels": ["./second"], "dependencies": ["tool", "other"]})
    (change,) = project.builder.relock(moved).changes
    assert any("from ./channel, which is none of the channels" in reason for reason in change.reasons)
    assert [artifact.source for artifact in change.after.lock.artifacts] == ["./second"] * 3
    assert change.lines == (), "they are the very same files"


def test_nothing_to_lock(project: Project) -> None:
    nothing = project.define(conda=None, steps=[{"workdir": "/job"}])
    for verb in (project.builder.relock, project.builder.check_lock, project.builder.lock):
        with pytest.raises(UsageError, match="nothing to lock"):
            verb(nothing)
