"""``.pyc`` files: made by exactly the Python of the image, with bytes that depend on nothing but source and version.

See `docs/decisions/0005-bytecode.md`. Materializers reach it through ``workshop.compilers``. Every build lends that,
and a hit as well, which compiles nothing: names are imported on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from coopery.bytecode.compilers import Compilers as Compilers
    from coopery.bytecode.python import Python as Python
    from coopery.bytecode.runtime import Closure as Closure
    from coopery.bytecode.runtime import Runtime as Runtime
    from coopery.bytecode.store import BytecodeStore as BytecodeStore
    from coopery.bytecode.store import Compiled as Compiled
    from coopery.bytecode.store import Module as Module
    from coopery.bytecode.store import key_of as key_of

_HOMES = {
    "BytecodeStore": "store",
    "Closure": "runtime",
    "Compiled": "store",
    "Compilers": "compilers",
    "Module": "store",
    "Python": "python",
    "Runtime": "runtime",
    "key_of": "store",
}
__all__ = sorted(_HOMES)  # noqa: PLE0605 - the names are those of the table above


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'coopery.bytecode' has no attribute {name!r}")
    return getattr(import_module(f"coopery.bytecode.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
