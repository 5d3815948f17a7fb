"""Steps that execute nothing, their identities, and snapshots: what each backend must give as every other does."""

# ruff: noqa: S101 - asserts are what a kit is made of

from __future__ import annotations

import contextlib
import json

import pytest
from attrs import evolve

from coopery.definition import CopyStep, EnvStep, RunStep, Step, UserStep, WorkdirStep
from coopery.errors import CooperyError, IntegrityError, StepError, UnsupportedError
from coopery.snapshots.steps import run_step
from coopery.testing.backend.desk import Desk, settings
from coopery.testing.backend.ground import Ground

_STEPS: tuple[Step, ...] = (
    CopyStep("app", "/srv/app", owner="app:apps"),
    CopyStep("app/main.py", "/srv/"),
    EnvStep({"GREETING": "a b", "PATH": "/srv:$PATH"}),
    WorkdirStep("/job/deep"),
    UserStep("app"),
)
_HOSTILE = ("-x", "--privileged", "a\nUSER root", "$(id)", "a b", "';\"", "ü🙂")
_NAMES = ("../a", "a/b", "-a", "", "a\nb", ".", "x" * 5000)


class StepChecks(Ground):
    """Copy, env, workdir, user; identities; what is kept under a name."""

    @pytest.fixture(autouse=True)
    def _app(self, desk: Desk) -> None:
        """A folder to copy."""
        (desk.folder / "app").mkdir()
        (desk.folder / "app" / "main.py").write_text("print('hello')\n")
        (desk.folder / "app" / "link").symlink_to("main.py")

    @pytest.mark.parametrize("step", _STEPS, ids=lambda step: type(step).__name__)
    def test_it_gives_what_every_backend_gives(self, desk: Desk, step: Step) -> None:
        """Byte for byte, so that one definition is one image id everywhere."""
        base = desk.base()
        sealed = desk.seal(step).steps[0]
        expected = run_step(desk.workshop, desk.backend.files(base), base, sealed)
        found = desk.step(sealed, base)
        assert found.config == expected.config
        assert (found.backend, found.digest, found.layers) == (desk.backend.name, expected.digest, expected.layers)

    def test_a_snapshot_is_found_again(self, desk: Desk) -> None:
        """By another backend object, as by another process; under its own name and no other."""
        base, step = desk.base(), desk.seal(_STEPS[0]).steps[0]
        assert desk.backend.find_snapshot(desk.name(base, step)) is None
        made = desk.step(step, base)
        assert desk.backend.find_snapshot(desk.name(base, step)) == made
        assert desk.backend.find_snapshot("0" * 64) is None

    def test_the_same_step_twice(self, desk: Desk) -> None:
        """It is the same snapshot, and the first one is as good as it was."""
        first, second = desk.step(_STEPS[0]), desk.step(_STEPS[0])
        assert first == second
        assert desk.text(first, "/srv/app/main.py") == "print('hello')\n"

    def test_a_snapshot_without_its_layers_is_none(self, desk: Desk) -> None:
        """What is found is whole: a layer that is gone, or short, means that the step is run again."""
        base, step = desk.base(), desk.seal(_STEPS[0]).steps[0]
        made = desk.step(step, base)
        path = desk.workshop.blobs.path(made.layers[-1].digest)
        path.unlink()
        path.write_bytes(b"short")
        assert desk.backend.find_snapshot(desk.name(base, step)) is None

    @pytest.mark.parametrize("name", _NAMES, ids=lambda name: ascii(name)[:12])
    def test_a_name_that_is_no_step_key(self, desk: Desk, name: str) -> None:
        """Nothing is found under it: it is an error of ours, or a miss; never anything else."""
        with contextlib.suppress(CooperyError):
            assert desk.backend.find_snapshot(name) is None

    def test_identities_are_plain_and_pure(self, desk: Desk) -> None:
        """JSON, the same each time, without a path of this machine; nothing is written to find them."""
        before = sorted(desk.workshop.home.rglob("*"))
        for sealed in desk.seal(*self._steps(desk)).steps:
            first = json.dumps(desk.backend.identity(sealed), sort_keys=True)
            assert json.dumps(desk.backend.identity(sealed), sort_keys=True) == first
            assert str(desk.folder) not in first
            assert str(desk.workshop.home) not in first
        assert sorted(desk.workshop.home.rglob("*")) == before

    def test_identities_do_not_depend_on_the_workshop(self, desk: Desk) -> None:
        """Neither secrets' values, nor time limits, nor mirrors and certificates change what a step is."""
        world = evolve(desk.workshop.settings, ca_bundle="/etc/elsewhere.crt")
        other = desk.lent(settings=world, secrets={"token": b"value"}, step_seconds=9.0)
        for sealed in desk.seal(*self._steps(desk)).steps:
            assert other.backend.identity(sealed) == desk.backend.identity(sealed)

    def test_identities_differ_where_results_may(self, desk: Desk) -> None:
        """No two of these steps are one."""
        steps = (
            *self._steps(desk),
            CopyStep("app", "/srv/app"),
            CopyStep("app", "/srv/app", mode=0o600),
            EnvStep({"GREETING": "other"}),
            WorkdirStep("/job"),
            UserStep("0"),
        )
        found = [json.dumps(desk.backend.identity(sealed), sort_keys=True) for sealed in desk.seal(*steps).steps]
        assert len(set(found)) == len(steps)

    def test_content_that_changed_since_the_key(self, desk: Desk) -> None:
        """It is not copied, and nothing is kept."""
        base, step = desk.base(), desk.seal(_STEPS[0]).steps[0]
        (desk.folder / "app" / "main.py").write_text("print('other')\n")
        with pytest.raises(IntegrityError):
            desk.step(step, base)
        assert desk.backend.find_snapshot(desk.name(base, step)) is None

    @pytest.mark.parametrize(
        "step",
        [
            UserStep("stranger"),
            CopyStep("app", "/x", owner="stranger"),
            CopyStep("app", "/srv/kept"),
            WorkdirStep("/srv/kept"),
        ],
        ids=["user", "owner", "copy", "workdir"],
    )
    def test_what_does_not_fit_the_image(self, desk: Desk, step: Step) -> None:
        """It is a StepError that names the step's field, and nothing is kept."""
        base, sealed = desk.base(), desk.seal(step).steps[0]
        with pytest.raises(StepError) as caught:
            desk.step(sealed, base)
        assert caught.value.message.startswith("$.steps[0].")
        assert desk.backend.find_snapshot(desk.name(base, sealed)) is None

    @pytest.mark.parametrize("text", _HOSTILE, ids=ascii)
    def test_values_are_values(self, desk: Desk, text: str) -> None:
        """Whatever stands in a field stays in it: one variable, one folder, and the user is still the base's."""
        base = desk.base()
        env = settings(desk.step(EnvStep({"ODD": text}), base))
        assert [entry for entry in env["Env"] if entry.startswith("ODD=")] == [f"ODD={text}"]
        work = desk.step(WorkdirStep(f"/job/{text}"), base)
        assert settings(work)["WorkingDir"] == f"/job/{text}"
        assert desk.changed(base, work) == {"job": "directory", f"job/{text}": "directory"}
        copied = desk.step(CopyStep("app", f"/job/{text}"), base)
        assert f"job/{text}/main.py" in desk.changed(base, copied)
        assert not settings(copied).get("User")

    def test_run_is_refused_where_it_is_not_declared(self, desk: Desk) -> None:
        """By name: the backend, the ability, the field; both when it is identified and when it is run."""
        if desk.backend.abilities.run:
            pytest.skip("it declares that it runs steps")
        base, step = desk.base(), desk.seal(RunStep("true")).steps[0]
        for refused in (lambda: desk.backend.identity(step), lambda: desk.backend.run_step(base, step, "0" * 64)):
            with pytest.raises(UnsupportedError) as caught:
                refused()
            error = caught.value
            assert (error.backend, error.ability, error.needed_by) == (desk.backend.name, "run", "$.steps[0].run")

    def _steps(self, desk: Desk) -> tuple[Step, ...]:
        runs = (RunStep("true"), RunStep(("true",)), RunStep("true", network=False), RunStep("true", secrets=("a",)))
        return (*_STEPS, *(runs if desk.backend.abilities.run else ()))
