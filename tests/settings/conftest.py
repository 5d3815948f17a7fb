"""A machine made of folders: a system file, a user's, a project's, and an environment."""

from __future__ import annotations

from pathlib import Path

import pytest
from attrs import field, frozen

from coopery.settings import Settings, load


@frozen
class Machine:
    """Files in three places; `load` reads them as the program would."""

    root: Path
    environ: dict[str, str] = field(factory=dict)

    @property
    def own(self) -> Path:
        return self.root / "ada"

    @property
    def project(self) -> Path:
        return self.own / "code" / "project"

    @property
    def system_file(self) -> Path:
        return self.root / "etc" / "settings.toml"

    @property
    def user_file(self) -> Path:
        return self.own / ".config" / "coopery" / "settings.toml"

    def system(self, text: str) -> Path:
        return self._write(self.system_file, text)

    def user(self, text: str) -> Path:
        return self._write(self.user_file, text)

    def clone(self, text: str, folder: str = ".") -> Path:
        return self._write(self.project / folder / ".coopery.toml", text)

    def load(self, cwd: Path | None = None) -> Settings:
        environ = {"HOME": str(self.own), **self.environ}
        return load(environ, cwd or self.project, system=self.system_file)

    def _write(self, path: Path, text: str) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    made = Machine(tmp_path)
    made.project.mkdir(parents=True)
    return made
