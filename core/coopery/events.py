"""Everything a build reports, as one typed stream. Progress bars, logs, JSON and observers are its readers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Literal, NoReturn, Self, dataclass_transform

Stage = Literal["base", "steps", "lock", "layers", "image", "push", "pull"]


@dataclass_transform(kw_only_default=True, frozen_default=True)
class _Value:
    """Frozen values with keyword fields, all with defaults.

    Not attrs classes: a hit has one event, and making a dozen attrs classes on the way would be a tenth of its time.
    """

    _defaults: ClassVar[dict[str, Any]] = {}

    def __init_subclass__(cls) -> None:
        own = {name: vars(cls)[name] for name in cls.__annotations__}
        cls._defaults = {**cls._defaults, **own}

    def __init__(self, **values: Any) -> None:
        unknown = values.keys() - self._defaults.keys()
        if unknown:
            raise TypeError(f"{type(self).__name__} has no field {sorted(unknown)[0]!r}")
        self.__dict__.update(self._defaults, **values)

    def replace(self, **changes: Any) -> Self:
        """The same event with other values in some fields."""
        return type(self)(**{**self.__dict__, **changes})

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"events are frozen: {name} cannot be set")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"events are frozen: {name} cannot be deleted")

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other.__dict__ == self.__dict__

    def __hash__(self) -> int:
        return hash((type(self), *self.__dict__.values()))

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={value!r}" for name, value in self.__dict__.items())
        return f"{type(self).__name__}({fields})"


class Event(_Value):
    """The root of all events. ``key`` is the key of the build that it belongs to, or empty."""

    key: str = ""


class Hit(Event):
    """A known image was found; nothing is built."""

    reference: str = ""


class Waiting(Event):
    """Somebody else builds this key; ``holder`` says who."""

    holder: str = ""


class BackendChosen(Event):
    """Nobody named a backend, and the definition needs more than the usual one; ``reason`` says why not others."""

    backend: str = ""
    reason: str = ""


class BuildStarted(Event):
    """This process builds. ``log`` is the file that keeps all that happens."""

    name: str = ""
    log: str = ""


class StageStarted(Event):
    """One stage begins. Stages may overlap."""

    stage: Stage = "base"
    detail: str = ""


class StageFinished(Event):
    """One stage is done, after ``seconds``; ``detail`` sums it up for people."""

    stage: Stage = "base"
    seconds: float = 0.0
    detail: str = ""


class Progress(Event):
    """How far a stage is: ``done`` of ``total`` ``unit``; ``item`` is what is in hand. Total 0: unknown."""

    stage: Stage = "base"
    done: int = 0
    total: int = 0
    unit: Literal["bytes", "packages", "layers", "steps"] = "packages"
    item: str = ""


class Output(Event):
    """One line that a step or a tool printed."""

    stage: Stage = "steps"
    line: str = ""


class Warned(Event):
    """Something that the user should know and that did not stop the build."""

    message: str = ""


class Retrying(Event):
    """A server did not answer as it should; in ``seconds`` comes attempt ``attempt`` of ``attempts``."""

    message: str = ""
    seconds: float = 0.0
    attempt: int = 0
    attempts: int = 0


class LayerDone(Event):
    """One layer is in the store: ``made`` now, or found there."""

    name: str = ""
    size: int = 0
    made: bool = True


class BaseMoved(Event):
    """The tag of a base names another image than it did: the definition is built again, on that."""

    reference: str = ""
    before: str = ""
    after: str = ""


class PackagesMoved(Event):
    """Other packages were resolved than the last generation's, or the lock file's. Lines are for people."""

    lines: tuple[str, ...] = ()


class BuildFinished(Event):
    """The image is in its place and recorded."""

    reference: str = ""
    image: str = ""
    seconds: float = 0.0


class BuildFailed(Event):
    """The build ended with an error; ``log`` keeps it."""

    message: str = ""
    log: str = ""


Emit = Callable[[Event], None]


def ignore(event: Event) -> None:
    """An `Emit` that nobody listens to."""
