"""``.pyc`` files: made by exactly the Python of the image, with bytes that depend on nothing but source and version.

See `docs/decisions/0005-bytecode.md`. Materializers reach it through ``workshop.compilers``.
"""

from __future__ import annotations

from coopery.bytecode.compilers import Compilers
from coopery.bytecode.python import Python
from coopery.bytecode.runtime import Closure, Runtime
from coopery.bytecode.store import BytecodeStore, Compiled, Module, key_of

__all__ = ["BytecodeStore", "Closure", "Compiled", "Compilers", "Module", "Python", "Runtime", "key_of"]
