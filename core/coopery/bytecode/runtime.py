"""All the files that one Python needs to run on this machine, wherever they come from."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from attrs import field, frozen

from coopery.layer import Entry


@frozen
class Runtime:
    """A Python that can be laid out in a folder and started there.

    Attributes:
        identity: strings that name everything in it; the folder's name is made from them.
        entries: what to lay out; where two entries have one path, the later wins.
        program: path of the executable, relative to the folder: ``opt/env/bin/python3.12``.
        loader: path of the program interpreter that must start it, relative to the folder; empty where this
            machine's own will do.
        libraries: folders that *loader* searches, relative to the folder.
    """

    identity: tuple[str, ...]
    entries: Callable[[], Iterable[Entry]] = field(eq=False, repr=False)
    program: str
    loader: str = ""
    libraries: tuple[str, ...] = ()

    def command(self, folder: Path) -> tuple[str, ...]:
        """What starts it, once it is laid out in *folder*."""
        program = str(folder / self.program)
        if not self.loader:
            return (program,)
        path = ":".join(str(folder / one) for one in self.libraries)
        return (str(folder / self.loader), "--library-path", path, program)


Closure = Callable[[], Runtime | None]
"""Gives a runtime for this machine's platform, or None where it has none. May solve and fetch."""
