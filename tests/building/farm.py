"""A backend that counts: every build leaves a line in a file that all processes append to, and takes as long as told.

A ``run:`` step gives other bytes each time, as steps that note the hour do.
"""

from __future__ import annotations

import os
from importlib import import_module
from types import SimpleNamespace
from typing import ClassVar

from attrs import evolve

from coopery import hookimpl
from coopery.backend import Abilities, Snapshot
from coopery.definition import EnvStep, RunStep
from coopery.errors import BackendError
from coopery.plugins import Plugins
from coopery.sealed import SealedBase, SealedStep
from coopery.snapshots import running
from coopery_oci.backend import OciBackend

LOG = "COOPERY_TEST_FARM_LOG"
SECONDS = "COOPERY_TEST_FARM_SECONDS"
FAILS = "COOPERY_TEST_FARM_FAILS"


def note(*words: object) -> None:
    handle = os.open(os.environ[LOG], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(handle, (" ".join(map(str, words)) + "\n").encode())
    os.close(handle)


def noted(word: str) -> int:
    try:
        with open(os.environ[LOG], encoding="utf-8") as file:
            return sum(line.split()[0] == word for line in file)
    except FileNotFoundError:
        return 0


class FarmBackend(OciBackend):
    abilities: ClassVar[Abilities] = Abilities(registry=True, run=True)

    def fetch_base(self, base: SealedBase, platform: str) -> Snapshot:
        note("build", os.getpid())
        if self._workshop.cancel.wait(float(os.environ.get(SECONDS, "0"))):
            note("cancelled")
            self._workshop.cancel.check()
        if os.environ.get(FAILS):
            raise BackendError("farm", "the barn burns", remedy="fetch water")
        return super().fetch_base(base, platform)

    def identity(self, step: SealedStep):
        return running.identity(step) if isinstance(step.step, RunStep) else super().identity(step)

    def run_step(self, base: Snapshot, step: SealedStep, name: str) -> Snapshot:
        if isinstance(step.step, RunStep):
            note("step")
            step = evolve(step, step=EnvStep({"HOUR": os.urandom(8).hex()}))
        return super().run_step(base, step, name)


def plugins() -> Plugins:
    @hookimpl
    def coopery_register_backend():
        return FarmBackend

    registers = SimpleNamespace(coopery_register_backend=coopery_register_backend)
    return Plugins([("farm", registers), ("redis", import_module("coopery_redis.plugin"))], discover=False)
