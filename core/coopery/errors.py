"""Every error that Coopery raises: one root, children named by who must act.

Fields come before prose: a caller branches on the class and its attributes, never on the message. Each class
states the exit status that the command line ends with (`docs/exit-codes.md`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class CooperyError(Exception):
    """The root.

    Attributes:
        remedy: one sentence that says what to do next, or an empty string.
        log: file that keeps all of the build that raised it, or an empty string.
    """

    exit_code = 1
    log = ""

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}\n  {self.remedy}" if self.remedy else self.message

    def __reduce__(self) -> tuple[Any, ...]:
        """An error goes to another process as its class and its fields, whatever its constructor takes."""
        return _again, (type(self), self.args), dict(self.__dict__)


def _again(kind: type[CooperyError], args: tuple[Any, ...]) -> CooperyError:
    made = kind.__new__(kind)
    made.args = args
    return made


class Problem:
    """One mistake in a definition, at one place.

    Args:
        path: field path, ``$.conda.channels[1]``.
        message: what was expected and what was found.
        file: the file as the user named it, or an empty string for a definition made in Python.
        line: 1-based, 0 where unknown.
        column: 1-based, 0 where unknown.
        remedy: what to write instead.
    """

    __slots__ = ("column", "file", "line", "message", "path", "remedy")

    def __init__(
        self, path: str, message: str, *, file: str = "", line: int = 0, column: int = 0, remedy: str = ""
    ) -> None:
        self.path = path
        self.message = message
        self.file = file
        self.line = line
        self.column = column
        self.remedy = remedy

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part)
        head = f"{place}: " if place else ""
        tail = f" ({self.remedy})" if self.remedy else ""
        return f"{head}{self.path}: {self.message}{tail}"

    def __repr__(self) -> str:
        return f"Problem({str(self)!r})"


class DefinitionError(CooperyError):
    """The user must change the definition. Carries every mistake found, not only the first."""

    exit_code = 2
    subject = "the definition"

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class LockFileError(DefinitionError):
    """A lock file must be changed, or made anew. Carries every mistake found."""

    subject = "the lock file"


class StaleLock(CooperyError):  # noqa: N818 - says the state
    """A lock file was demanded, and it is missing or does not answer the definition. Nothing was resolved.

    Args:
        file: the lock file; empty where there is none to speak of.
        reasons: why it is stale, one line each; empty: it is missing.
    """

    exit_code = 9

    def __init__(self, message: str, *, file: str = "", reasons: Sequence[str] = (), remedy: str = "") -> None:
        self.file = file
        self.reasons = tuple(reasons)
        super().__init__("\n".join((message, *(f"  {reason}" for reason in self.reasons))), remedy=remedy)


class UsageError(CooperyError):
    """The caller must change the call: contradictory options, an unknown key, a place that cannot be parsed."""

    exit_code = 2


class SettingsError(UsageError):
    """A settings file or variable must be changed. Carries every mistake found in all of them."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class PluginError(CooperyError):
    """The installer must act: a plugin is missing, broken, misspelt, or clashes with another."""

    exit_code = 3


class UnsupportedError(PluginError):
    """A backend was asked for what it did not declare. Raised before anything is fetched.

    Args:
        backend: name of the backend that lacks it.
        ability: name of the ability, as in `coopery.backend.Abilities`.
        needed_by: field path of what asked, ``$.steps[0].run``.
        others: installed backends that have it.
        remedy: what to do where there are none; to install one, unless given.
    """

    def __init__(
        self, backend: str, ability: str, needed_by: str, others: Sequence[str] = (), *, remedy: str = ""
    ) -> None:
        self.backend = backend
        self.ability = ability
        self.needed_by = needed_by
        self.others = tuple(others)
        if self.others:
            remedy = f"build with --backend {self.others[0]}, which has it"
        remedy = remedy or "install a backend that has it, such as one for Docker, Podman or Apptainer"
        super().__init__(f"{needed_by}: backend {backend!r} lacks the ability {ability!r}", remedy=remedy)


class BuildError(CooperyError):
    """A build could not be finished. ``stage`` is base, steps, lock, layers or image."""

    exit_code = 4
    stage = ""


class BaseError(BuildError):
    """A base image cannot be had, is damaged, or cannot carry what the definition asks."""

    stage = "base"


class ResolveError(BuildError):
    """No set of packages satisfies the definition.

    Args:
        explanation: the solver's own account, several lines.
        requirements: those lines of the definition that cannot be met by themselves, as they stand there, so that
            whoever shows the error can point at them.
        available: versions that there are instead, newest first.
    """

    stage = "lock"

    def __init__(
        self,
        message: str,
        *,
        explanation: str = "",
        remedy: str = "",
        requirements: Sequence[str] = (),
        available: Sequence[str] = (),
    ) -> None:
        self.explanation = explanation
        self.requirements = tuple(requirements)
        self.available = tuple(available)
        super().__init__(f"{message}\n{explanation}" if explanation else message, remedy=remedy)


class PackageError(BuildError):
    """One package cannot be fetched, verified or laid out. ``package`` is its file name."""

    stage = "layers"

    def __init__(self, package: str, message: str, *, remedy: str = "") -> None:
        self.package = package
        super().__init__(f"{package}: {message}", remedy=remedy)


class BackendError(BuildError):
    """An engine, or the machine under it, failed. ``backend`` names whose it was."""

    def __init__(self, backend: str, message: str, *, remedy: str = "") -> None:
        self.backend = backend
        super().__init__(f"{backend}: {message}", remedy=remedy)


class StepError(BuildError):
    """A step that executes nothing does not fit the image: something is in the way, a user is unknown."""

    stage = "steps"


class StepFailed(BackendError):  # noqa: N818 - the field says that a step failed, not that it erred
    """A custom step ended with a status other than 0.

    Args:
        backend: who ran it.
        step: field path, ``$.steps[2]``.
        argv: what ran.
        exit_code: its status (named ``status`` here, since ``exit_code`` is ours).
        stderr_tail: the last lines that it printed.
    """

    stage = "steps"

    def __init__(self, backend: str, step: str, argv: Sequence[str], status: int, stderr_tail: str) -> None:
        self.step = step
        self.argv = tuple(argv)
        self.status = status
        self.stderr_tail = stderr_tail
        super().__init__(backend, f"{step}: {' '.join(argv)!r} exited with {status}\n{stderr_tail}")


class IntegrityError(CooperyError):
    """Bytes are not what their digest says, or an archive tries to leave its folder. Nothing of it was kept."""

    exit_code = 5


class DriftError(IntegrityError):
    """The same inputs gave other bytes. ``paths`` are the files that differ."""

    def __init__(self, message: str, paths: Sequence[str] = ()) -> None:
        self.paths = tuple(paths)
        super().__init__(message)


class CacheError(CooperyError):
    """The disk or the server that keeps records or layers failed; the build itself may be sound."""

    exit_code = 6


class StoreFull(CacheError):  # noqa: N818 - says the state, as ENOSPC does
    """No space left. What was half-written has been removed."""


class NotFound(CooperyError):  # noqa: N818 - says the state; a lookup by a person, never a cache miss
    """Nothing is kept under that key or reference."""

    exit_code = 7


class NetworkError(CooperyError):
    """A server could not be reached, or did not give what it was asked for. Nothing half-fetched was kept.

    Args:
        url: what was asked for, as it may be shown: no user, password, query or token.
        reason: what went wrong, in a few words.
        status: the answer's HTTP status; 0 where there was no answer.
        attempts: how often it was tried.
        transient: trying again later may help. What a server refuses (401, 403, 404) is not.
        retry_after: seconds that the server asked to wait; 0 where it asked for none.
        remedy: as in `CooperyError`.
    """

    exit_code = 8

    def __init__(
        self,
        url: str,
        reason: str,
        *,
        status: int = 0,
        attempts: int = 1,
        transient: bool = False,
        retry_after: float = 0.0,
        remedy: str = "",
    ) -> None:
        self.url = url
        self.reason = reason
        self.status = status
        self.attempts = attempts
        self.transient = transient
        self.retry_after = retry_after
        times = f" (tried {attempts} times)" if attempts > 1 else ""
        super().__init__(f"{url}: {reason}{times}", remedy=remedy)

    def after(self, attempts: int) -> NetworkError:
        """The same error, made after *attempts* of them."""
        again = type(self)(
            self.url,
            self.reason,
            status=self.status,
            attempts=attempts,
            transient=self.transient,
            retry_after=self.retry_after,
            remedy=self.remedy,
        )
        again.__cause__ = self.__cause__
        return again
