"""A build uses the lock file beside its definition, and only it, while it answers the definition."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import pytest
from attrs import evolve

from coopery import Builder, Environment
from coopery.errors import PackageError, StaleLock, UsageError
from coopery.home import Home
from coopery.lockfile import read
from lock_life.conftest import Project

pytestmark = pytest.mark.processes


def test_a_colleague_gets_the_locked_packages_without_a_solver(
    project: Project, elsewhere: Callable[[], Builder]
) -> None:
    environment = project.define("tool", "other")
    project.write_lock(environment)
    mine = project.builder.build(environment)
    project.add("tool", "3.0", depends=["library"])
    project.add("other", "2.0")
    theirs = elsewhere().build(environment)
    assert theirs.id == mine.id
    assert theirs.lock == mine.lock == read(project.lock).sections[0].lock.digest
    assert elsewhere().build(environment, lock=False).id != mine.id


def test_nothing_is_solved_under_a_lock(project: Project) -> None:
    environment = project.define("tool", "other")
    project.write_lock(environment)
    project.events.clear()
    project.builder.build(environment)
    assert not project.solved()
    assert project.warnings() == []


def test_what_was_built_before_it_was_locked_is_a_hit(project: Project) -> None:
    environment = project.define("tool", "other")
    first = project.builder.build(environment)
    project.write_lock(environment)
    project.events.clear()
    again = project.builder.build(environment)
    assert project.hit()
    assert again == first


def test_a_hit_under_a_lock_reads_nothing_but_the_file(project: Project) -> None:
    environment = project.define("tool", "other")
    project.write_lock(environment)
    first = project.builder.build(environment)
    shutil.rmtree(project.channel.root)
    shutil.rmtree(project.builder.home.root / "packages")
    project.events.clear()
    assert project.builder.build(environment) == first
    assert project.hit()
    assert project.builder.plan(environment).image == first


def test_two_lock_files_of_one_key_do_not_fight(project: Project) -> None:
    environment = project.define("tool", "other", name="old.json")
    project.write_lock(environment)
    project.add("other", "2.0")
    new = project.define("tool", "other", name="new.json")
    project.write_lock(new, update=True)
    assert project.builder.key(environment) == project.builder.key(new)
    ids = [project.builder.build(one).id for one in (environment, new)]
    tags = [project.builder.build(one).reference for one in (environment, new)]
    project.events.clear()
    assert [project.builder.build(one).id for one in (environment, new)] == ids
    assert project.hit()
    assert not project.solved()
    assert len(set(ids)) == len(set(tags)) == 2
    assert project.versions(environment)["other"] == "1.0"
    assert project.versions(new)["other"] == "2.0"
    assert len(project.builder.list()) == 2
    assert project.builder.find(project.builder.key(new)[:12]) == project.builder.key(new)


def test_a_pin_that_the_lock_answers_needs_no_solver(project: Project) -> None:
    project.write_lock(project.define("tool", "other"))
    project.events.clear()
    loosened = project.define("tool>=1,<3", "other", "library")
    project.builder.build(loosened)
    assert not project.solved()
    assert project.warnings() == []


@pytest.mark.parametrize(
    ("specs", "reason"),
    [
        (("tool=1.0", "other"), "tool=1.0: tool 2.0 0 is locked"),
        (("tool", "other", "extra"), "extra: nothing of that name is locked"),
        (("tool",), "other is not asked for any more"),
        (("tool", "other[build_number=0]"), "other[build_number=0]: a lock does not say enough to tell"),
    ],
)
def test_a_stale_lock_is_a_preference_and_a_warning(project: Project, specs: tuple[str, ...], reason: str) -> None:
    project.write_lock(project.define("tool", "other"))
    before = project.lock.read_bytes()
    project.add("library", "9.0")
    changed = project.define(*specs)
    for hit in (False, True):
        project.events.clear()
        image = project.builder.build(changed)
        assert image.hit is hit
        (warning,) = project.warnings()
        assert reason in warning
        assert "coopery lock" in warning
    assert project.versions(changed)["library"] == "1.0", "what nobody asked to move stays"
    assert project.lock.read_bytes() == before, "a build never writes it"


def test_what_moved_is_told(project: Project) -> None:
    project.write_lock(project.define("tool", "other"))
    project.events.clear()
    project.builder.build(project.define("tool=1.0", "other"))
    assert project.moved() == ["tool"]


def test_a_rebuild_under_a_lock_keeps_its_packages(project: Project) -> None:
    environment = project.define("tool", "other")
    project.write_lock(environment)
    first = project.builder.build(environment)
    project.add("tool", "3.0", depends=["library"])
    second = project.builder.build(environment, rebuild=True)
    assert (second.generation, second.id) == (first.generation + 1, first.id)
    assert not second.hit


def test_an_image_that_was_lost_comes_back_from_the_lock(project: Project) -> None:
    environment = project.define("tool", "other")
    project.write_lock(environment)
    first = project.builder.build(environment)
    project.add("tool", "3.0", depends=["library"])
    shutil.rmtree(Home(project.builder.home.root).images)
    again = project.builder.build(environment)
    assert not again.hit
    assert (again.id, again.generation) == (first.id, first.generation)


def test_a_lock_from_python(project: Project, elsewhere: Callable[[], Builder]) -> None:
    environment = project.define("tool=1.0", "other")
    lock = project.builder.lock(environment)
    project.add("other", "2.0")
    unpinned = project.define("tool", "other")
    builder = elsewhere()
    image = builder.build(unpinned, lock=lock)
    assert image.lock == lock.digest
    assert builder.build(unpinned, lock=lock).hit
    with pytest.raises(UsageError, match="for linux/amd64"):
        builder.build(evolve(unpinned, target=evolve(unpinned.target, platform="linux/arm64")), lock=lock)


def test_a_lock_by_its_path(project: Project) -> None:
    environment = project.define("tool", "other")
    project.write_lock(environment)
    kept = project.lock.rename(project.folder / "kept.lock")
    project.add("other", "2.0")
    assert project.builder.build(environment, lock=kept)
    assert project.versions(environment)["other"] == "1.0"
    with pytest.raises(Exception, match="there is no lock file"):
        project.builder.build(environment, lock=project.lock)


def test_a_definition_that_stands_in_no_file_has_no_lock(project: Project) -> None:
    environment = project.define("tool", "other")
    project.write_lock(environment)
    project.lock.write_text("broken")
    apart = evolve(environment, file=None)
    assert project.builder.build(apart)
    assert isinstance(apart, Environment)


# --- frozen ----------------------------------------------------------------------------------------------------


def test_frozen_builds_what_is_locked(project: Project) -> None:
    environment = project.define("tool", "other")
    project.write_lock(environment)
    project.add("tool", "3.0", depends=["library"])
    assert project.builder.build(environment, frozen=True).lock == read(project.lock).sections[0].lock.digest
    assert project.builder.build(environment, frozen=True).hit


def test_frozen_refuses_before_anything_is_fetched(project: Project) -> None:
    environment = project.define("tool", "other")
    with pytest.raises(StaleLock, match=r"environment\.lock is not there"):
        project.builder.build(environment, frozen=True)
    project.write_lock(environment)
    changed = project.define("tool=1.0", "other")
    project.builder.build(changed)  # even where a build from the stale lock is recorded
    shutil.rmtree(project.channel.root)
    project.events.clear()
    with pytest.raises(StaleLock) as caught:
        project.builder.build(changed, frozen=True)
    assert caught.value.reasons == ("tool=1.0: tool 2.0 0 is locked",)
    assert caught.value.exit_code == 9
    assert project.events == []


def test_frozen_takes_words_that_the_lock_still_answers(project: Project) -> None:
    project.write_lock(project.define("tool", "other"))
    assert project.builder.build(project.define("tool>=2", "other"), frozen=True)


def test_frozen_refuses_another_base(project: Project) -> None:
    project.write_lock(project.define("tool", "other"))
    (project.folder / "root").mkdir()
    other = project.define("tool", "other", target={"glibc": "2.28"})
    with pytest.raises(StaleLock, match=r"glibc: locked for 2\.36, now 2\.28"):
        project.builder.build(other, frozen=True)


def test_frozen_without_packages_needs_a_digest(project: Project) -> None:
    plain = project.define(conda=None, base={"image": "debian:12"})
    with pytest.raises(StaleLock, match="names no digest"):
        project.builder.build(plain, frozen=True)
    nothing = project.define(conda=None, steps=[{"workdir": "/job"}])
    assert project.builder.build(nothing, frozen=True)


# --- what the plan says -------------------------------------------------------------------------------------------


def test_the_plan_says_which_lock(project: Project) -> None:
    environment = project.define("tool", "other")
    assert project.builder.plan(environment).lock_file == ""
    project.write_lock(environment)
    plan = project.builder.plan(environment)
    assert plan.lock_file == "environment.lock"
    assert "lock: the packages of environment.lock" in plan.stages
    (line,) = [
        line for line in project.builder.plan(project.define("tool=1.0", "other")).stages if line.startswith("lock: ")
    ]
    assert "environment.lock does not answer the definition (tool=1.0: tool 2.0 0 is locked)" in line


@pytest.mark.parametrize(("field", "untrue"), [("version", '"1.1"'), ("build", '"1"')])
def test_a_lock_that_was_merged_into_something_untrue_is_refused_on_every_machine(
    project: Project, elsewhere: Callable[[], Builder], field: str, untrue: str
) -> None:
    """Where the package was laid out long ago no less than where it must be fetched."""
    environment = project.define("other")
    project.write_lock(environment)
    project.builder.build(environment)
    lines = project.lock.read_text().split("\n")
    (at,) = [number for number, line in enumerate(lines) if line.strip().startswith(f"{field}: ")]
    lines[at] = f"{lines[at].partition(':')[0]}: {untrue}"
    project.lock.write_text("\n".join(lines))
    for builder in (project.builder, elsewhere()):
        with pytest.raises(PackageError, match=r"says of itself that it is other-1\.0-0, and is locked as other 1\."):
            builder.build(environment)
