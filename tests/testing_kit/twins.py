"""Broken twins of the example backend, each with the tests of the kit that it fails: those and no others.

pytest is run on this file by `test_twins.py`; by itself it is collected by nobody.
"""

# ruff: noqa: ARG002 - a broken twin is broken by what it ignores

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from attrs import evolve, frozen

from coopery.backend import Abilities, Examination
from coopery.cancel import Cancel
from coopery.definition import Environment, RootfsBase, RunStep
from coopery.errors import BackendError, StepFailed, UsageError
from coopery.image import encode
from coopery.place import Presence
from coopery.seal import seal
from coopery.testing.backend.bases import BaseChecks
from coopery.testing.backend.images import ImageChecks
from coopery.testing.backend.runs import RunChecks
from coopery.testing.backend.steps import StepChecks

sys.path.insert(0, str(Path(__file__).parents[2] / "examples" / "backend"))
from coopery_unshare import sandbox, steps
from coopery_unshare.backend import UnshareBackend
from coopery_unshare.place import FolderPlace


@frozen
class Twin:
    """One twin: the part of the kit that is run on it, and the tests of it that must fail."""

    checks: type
    fails: frozenset[str]


TWINS: dict[str, Twin] = {}
SOME = (
    "test_what_a_step_changes_is_one_layer",
    "test_nothing_of_the_engine_is_in_the_layer",
    "test_it_runs_as_the_image_says",
    "test_arguments_arrive_as_they_stand",
    "test_the_shell_form_is_one_script",
    "test_a_failed_step_says_all",
    "test_secrets_are_files_during_the_step_only",
    "test_a_secret_is_in_no_argument_vector",
    "test_without_a_network_there_is_none",
    "test_an_interrupt_ends_it",
    "test_an_image_is_put_into_the_place",
    "test_what_was_never_put_is_not_there",
    "test_what_was_removed_is_gone",
    "test_a_tag_is_taken_or_refused",
    "test_a_run_ends_with_the_programs_status",
    "test_gpus_are_refused_where_they_are_not_declared",
)
"""Of the checks that start processes, those that are run on every twin."""


def twin(checks: type, *fails: str) -> Callable[[type], type]:
    """Note a twin, and make the class that pytest collects."""

    def note(backend: type) -> type:
        TWINS[backend.__name__] = Twin(checks, frozenset(fails))
        opened = pytest.fixture(name="open_backend")(lambda _self: backend)
        slow = checks in (RunChecks, ImageChecks)
        tests = [name for name in dir(checks) if name.startswith("test_")] if slow else []
        left_out = {name: None for name in tests if name not in (*SOME, *fails)}
        body = {"open_backend": opened, "patience": 3.0, **left_out}
        globals()[f"Test{backend.__name__}"] = type(f"Test{backend.__name__}", (checks,), body)
        return backend

    return note


# --- bases ----------------------------------------------------------------------------------------


@twin(BaseChecks, "test_making_one_touches_nothing")
class Eager(UnshareBackend):
    def __init__(self, workshop):
        super().__init__(workshop)
        (workshop.home / "unshare").mkdir(exist_ok=True)


@twin(BaseChecks, "test_its_names_are_plain")
class Nowhere(UnshareBackend):
    @property
    def place(self):
        place = super().place
        place.name = "somewhere\nelse"
        return place


@twin(BaseChecks, "test_bases_that_it_does_not_declare")
class Vague(UnshareBackend):
    def fetch_base(self, base, platform):
        if base.base.__class__.__name__ in ("DockerfileBase", "ContextBase"):
            raise BackendError(self.name, "not supported")
        return super().fetch_base(base, platform)


@twin(BaseChecks, "test_a_base_that_changed_since_the_key_is_refused")
class Trusting(UnshareBackend):
    def fetch_base(self, base, platform):
        if not isinstance(base.base, RootfsBase):
            return super().fetch_base(base, platform)
        again = seal(Environment(RootfsBase(base.path.name), root=base.path.parent)).base
        return super().fetch_base(again, platform)


@twin(BaseChecks, "test_it_says_that_it_works")
class Modest(UnshareBackend):
    def examine(self):
        return Examination(found=True, works=False, problem="never tried", remedy="try it")


# --- steps ----------------------------------------------------------------------------------------


@twin(StepChecks, "test_it_gives_what_every_backend_gives")
class Signing(UnshareBackend):
    def run_step(self, base, step, name):
        made = super().run_step(base, step, name)
        config = json.loads(made.config)
        config["author"] = self.name
        return self._host.keep(evolve(made, config=encode(config)), name)


@twin(StepChecks, "test_a_snapshot_is_found_again")
class Forgetful(UnshareBackend):
    def find_snapshot(self, name):
        return None


@twin(StepChecks, "test_identities_differ_where_results_may")
class Hasty(UnshareBackend):
    def identity(self, step):
        return {**super().identity(step), "to": "", "mode": 0}


@twin(StepChecks, "test_identities_are_plain_and_pure")
class Local(UnshareBackend):
    def identity(self, step):
        return {**super().identity(step), "home": str(self._workshop.home)}


@twin(StepChecks, "test_identities_do_not_depend_on_the_workshop")
class Worldly(UnshareBackend):
    def identity(self, step):
        return {**super().identity(step), "bundle": str(self._workshop.settings.ca_bundle)}


@twin(StepChecks, "test_run_is_refused_where_it_is_not_declared")
class Undeclared(UnshareBackend):
    abilities = Abilities(registry=True)


# --- runs -----------------------------------------------------------------------------------------


class Altered(UnshareBackend):
    """A twin that changes what is executed, or how."""

    def run_step(self, base, step, name):
        if not isinstance(step.step, RunStep):
            return super().run_step(base, step, name)
        with pytest.MonkeyPatch.context() as patch:
            self.alter(patch)
            return super().run_step(base, step, name)

    def alter(self, patch):
        """Break something."""

    @staticmethod
    def spec(patch, change):
        real = sandbox.execute
        patch.setattr(steps, "execute", lambda folder, spec, *rest: real(folder, change(spec), *rest))


@twin(
    RunChecks,
    "test_nothing_of_the_engine_is_in_the_layer",
    "test_what_a_step_changes_is_one_layer",
    "test_certificates_are_there_during_the_step_only",
)
class Stray(Altered):
    def alter(self, patch):
        real = steps.execute

        def execute(folder, *rest):
            status = real(folder, *rest)
            (folder / "upper" / "run").mkdir(exist_ok=True)
            (folder / "upper" / "run" / ".ours").touch()
            return status

        patch.setattr(steps, "execute", execute)


@twin(
    RunChecks,
    "test_arguments_arrive_as_they_stand",
    "test_the_engine_is_told_nothing_by_names",
    "test_the_shell_form_is_one_script",
)
class Joined(Altered):
    def alter(self, patch):
        self.spec(patch, lambda spec: evolve(spec, argv=tuple(word.replace("\n", " ") for word in spec.argv)))


@twin(
    RunChecks,
    "test_it_runs_as_the_image_says",
    "test_a_user_that_is_not_in_the_image",
)
class Rooted(Altered):
    def alter(self, patch):
        self.spec(patch, lambda spec: evolve(spec, account=evolve(spec.account, uid=0, gid=0, groups=())))


@twin(RunChecks, "test_without_a_network_there_is_none")
class Connected(Altered):
    def alter(self, patch):
        self.spec(patch, lambda spec: evolve(spec, network=True))


@twin(RunChecks, "test_an_interrupt_ends_it", "test_time_is_up")
class Careless(Altered):
    def alter(self, patch):
        patch.setattr(sandbox, "_end", lambda process: process.stdout.close())


@twin(RunChecks, "test_a_failed_step_says_all")
class Terse(UnshareBackend):
    def run_step(self, base, step, name):
        try:
            return super().run_step(base, step, name)
        except StepFailed as exc:
            raise StepFailed(exc.backend, "", exc.argv, exc.status, exc.stderr_tail) from exc


@twin(
    RunChecks,
    "test_a_failed_step_says_all",
    "test_the_shell_form_is_one_script",
    "test_a_program_that_is_not_there",
    "test_a_step_that_is_ended_by_a_signal",
    "test_a_failed_step_keeps_the_secret",
)
class Deaf(Altered):
    def alter(self, patch):
        real = steps.execute

        def execute(*arguments):
            real(*arguments)
            return 0

        patch.setattr(steps, "execute", execute)


@twin(RunChecks, "test_a_cancelled_build_ends_it")
class Stubborn(Altered):
    def alter(self, patch):
        real = steps.execute
        patch.setattr(steps, "execute", lambda *arguments: real(*arguments[:-1], Cancel()))


@twin(RunChecks, "test_secrets_are_files_during_the_step_only")
class Telling(Altered):
    def alter(self, patch):
        real = steps.execute

        def execute(folder, spec, *rest):
            status = real(folder, spec, *rest)
            if self._workshop.secrets:
                (folder / "upper" / "srv").mkdir(exist_ok=True)
                (folder / "upper" / "srv" / "env").write_bytes(b" ".join(self._workshop.secrets.values()))
            return status

        patch.setattr(steps, "execute", execute)


@twin(RunChecks, "test_a_secret_is_in_no_argument_vector")
class Public(Altered):
    def alter(self, patch):
        words = [value.decode() for value in self._workshop.secrets.values()]
        shell = ("sh", "-c", 'shift; "$@"; exit $?', "sh", " ".join(words))
        self.spec(patch, lambda spec: evolve(spec, argv=(*shell, *spec.argv)))


@twin(RunChecks, "test_a_secret_that_was_not_given")
class Lax(UnshareBackend):
    def run_step(self, base, step, name):
        try:
            return super().run_step(base, step, name)
        except UsageError:
            return super().run_step(base, evolve(step, step=evolve(step.step, secrets=())), name)


# --- images ---------------------------------------------------------------------------------------


class Placing(UnshareBackend):
    """A twin whose place is broken."""

    Place: type = FolderPlace

    @property
    def place(self):
        return self.Place(self._workshop)


@twin(ImageChecks, "test_what_was_never_put_is_not_there", "test_what_was_removed_is_gone")
class Unsure(Placing):
    class Place(FolderPlace):
        def exists(self, image, digest):
            found = super().exists(image, digest)
            return Presence.UNKNOWN if found is Presence.NO else found


@twin(ImageChecks, "test_what_was_removed_is_gone")
class Sticky(Placing):
    class Place(FolderPlace):
        def remove(self, image, digest):
            return self.exists(image, digest) is Presence.YES


@twin(ImageChecks, "test_a_tag_is_taken_or_refused")
class Pathy(UnshareBackend):
    def materialize(self, snapshot, image, new, tag):
        placed = super().materialize(snapshot, image, new, tag)
        (self._workshop.home / "unshare" / tag).mkdir(exist_ok=True)
        return placed


@twin(ImageChecks, "test_an_image_is_put_into_the_place")
class Silent(UnshareBackend):
    def materialize(self, snapshot, image, new, tag):
        return evolve(super().materialize(snapshot, image, new, tag), reference="")


@twin(ImageChecks, "test_a_run_ends_with_the_programs_status", "test_a_snapshot_can_be_looked_at")
class Rounding(Placing):
    class Place(FolderPlace):
        def _run(self, *arguments):
            return min(1, super()._run(*arguments))


@twin(ImageChecks, "test_gpus_are_refused_where_they_are_not_declared")
class Blind(Placing):
    class Place(FolderPlace):
        def run(self, digest, request):
            return super().run(digest, evolve(request, gpu=False))
