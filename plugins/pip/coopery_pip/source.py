"""One wheel as `installer` takes it: names and metadata held against the lock, contents one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, Final, cast

from installer.sources import WheelContentElement, WheelSource

from coopery.errors import PackageError
from coopery.lock import Artifact
from coopery_pip import entry_points, record
from coopery_pip.archive import MAX_TEXT, Archive
from coopery_pip.entry_points import Command
from coopery_pip.identity import check_dist_info, check_file_name
from coopery_pip.record import Stated

_NOT_TAKEN: Final = (record.NAME, *record.SIGNATURES, "INSTALLER", "REQUESTED", "direct_url.json")
"""What installers write beside the metadata. A wheel that brings them speaks of another installation."""

_REMEDY: Final = "the wheel format has installers refuse that; take another build or version of the package"


class Source(WheelSource):
    """The wheel of *artifact*, in *archive*.

    Attributes:
        members: what is installed of it: all but what is written anew, and ``.pyc`` files that fixed times make stale.

    Raises:
        PackageError: it is not the wheel that its file name and the lock say, or lacks what makes it one.
    """

    def __init__(self, artifact: Artifact, archive: Archive) -> None:
        self._artifact, self._archive = artifact, archive
        self._by_name = {member.name: member for member in archive.members}
        distribution, version = artifact.file_name.split("-")[:2] if "-" in artifact.file_name else ("", "")
        super().__init__(distribution, version)
        self._dist_info = self._top(".dist-info")
        self._data = self._top(".data") or super().data_dir
        self._check()
        self.members = tuple(member for member in archive.members if self._is_taken(member.name))

    @property
    def dist_info_dir(self) -> str:
        """The one folder ``*.dist-info`` at the top, which not every wheel spells as its file name."""
        return self._dist_info

    @property
    def data_dir(self) -> str:
        """The one folder ``*.data`` at the top; where there is none, a name that nothing has."""
        return self._data

    @property
    def dist_info_filenames(self) -> list[str]:
        """Without ``entry_points.txt``, which `coopery_pip.entry_points` reads."""
        below = f"{self._dist_info}/"
        names = [name.removeprefix(below) for name in self._by_name if name.startswith(below)]
        return [name for name in names if name != "entry_points.txt"]

    def read_dist_info(self, filename: str) -> str:
        """The text of one file of metadata.

        Raises:
            PackageError: it is missing, too large, or not UTF-8.
        """
        name = f"{self._dist_info}/{filename}"
        member = self._by_name.get(name)
        if member is None or member.size > MAX_TEXT:
            raise self.error(f"{name!r} is missing or larger than {MAX_TEXT} bytes")
        with self._archive.open(member) as stream:
            data = stream.read()
        try:
            return data.decode()
        except UnicodeDecodeError as exc:
            raise self.error(f"{name!r} is not UTF-8: {exc}") from exc

    def commands(self) -> tuple[Command, ...]:
        """The commands that it declares.

        Raises:
            PackageError: one is no plain file name, or starts no function.
        """
        if f"{self._dist_info}/entry_points.txt" not in self._by_name:
            return ()
        try:
            return entry_points.parse(self.read_dist_info("entry_points.txt"))
        except ValueError as exc:
            raise self.error(str(exc)) from exc

    def get_contents(self) -> Iterator[WheelContentElement]:
        """Every file of `members`, in their order. Hashes are checked by who reads them."""
        for member in self.members:
            with self._archive.open(member) as stream:
                yield (member.name, "", ""), cast(BinaryIO, stream), member.executable

    def stated(self) -> dict[str, Stated]:
        """What the wheel's RECORD states of its files.

        Raises:
            PackageError: it cannot be read, or leaves out a file that is there.
        """
        try:
            stated = record.parse(self.read_dist_info(record.NAME))
        except ValueError as exc:
            raise self.error(str(exc)) from exc
        exempt = {f"{self._dist_info}/{name}" for name in (record.NAME, *record.SIGNATURES)}
        unlisted = sorted(self._by_name.keys() - stated.keys() - exempt)
        if unlisted:
            raise self.error(f"{unlisted[0]!r} is in it, and its RECORD has no hash of that", _REMEDY)
        return stated

    def error(self, message: str, remedy: str = "") -> PackageError:
        """A `PackageError` that names this wheel."""
        return PackageError(self._artifact.file_name, message, remedy=remedy)

    def _check(self) -> None:
        check_file_name(self._artifact)
        check_dist_info(self._artifact, self._dist_info)
        for member in self._by_name:
            if member.startswith(f"{self._data}/") and member.count("/") < 2:
                raise self.error(f"{member!r} is in none of the folders that a wheel may have there")

    def _top(self, suffix: str) -> str:
        tops = {name.partition("/")[0] for name in self._by_name if "/" in name}
        found = sorted(name for name in tops if name.endswith(suffix))
        if len(found) > 1 or (not found and suffix == ".dist-info"):
            raise self.error(f"expected one folder '*{suffix}' at its top, found {', '.join(found) or 'none'}")
        return found[0] if found else ""

    def _is_taken(self, name: str) -> bool:
        folder, _, last = name.rpartition("/")
        if folder == self._dist_info and last in _NOT_TAKEN:
            return False
        if "__pycache__" in folder.split("/"):
            return False
        return not (name.endswith(".pyc") and name.removesuffix("c") in self._by_name)
