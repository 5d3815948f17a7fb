"""Console scripts of ``noarch: python`` packages, which come as one line each in ``info/link.json``.

The text is the one that py-rattler 0.28 writes, tabs included; the tests compare.
"""

from __future__ import annotations

import re
from typing import Final

from attrs import frozen

from coopery_conda.placeholder import launcher

MODE: Final = 0o775
"""As conda's clients give to scripts that they make."""

_FORM: Final = re.compile(r" *(?P<command>[^=]+?) *= *(?P<module>[^:]+?) *: *(?P<function>.+?) *")
_COMMAND: Final = re.compile(r"[\w.+][\w.+ -]*")
_DOTTED: Final = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")


@frozen
class EntryPoint:
    """``command = module:function``."""

    command: str
    module: str
    function: str

    def script(self, interpreter: str) -> bytes:
        """The script at ``bin/<command>``, run by *interpreter*, an absolute path in the image."""
        name = self.function.partition(".")[0]
        return (
            f"{launcher(interpreter)}\n"
            "# -*- coding: utf-8 -*-\n"
            "import re\n"
            "import sys\n"
            "\n"
            f"from {self.module} import {name}\n"
            "\n"
            "if __name__ == '__main__':\n"
            "\tsys.argv[0] = re.sub(r'(-script\\.pyw?|\\.exe)?$', '', sys.argv[0])\n"
            f"\tsys.exit({self.function}())\n"
        ).encode()


def parse(text: str) -> EntryPoint:
    """Read one line.

    Raises:
        ValueError: it is none, its command is no plain file name, or it would put other code into the script.
    """
    match = _FORM.fullmatch(text)
    if match is None:
        raise ValueError(f"expected an entry point 'command = module:function', got {text!r}")
    command, module, function = match["command"], match["module"], match["function"]
    if not _COMMAND.fullmatch(command) or command in (".", ".."):
        raise ValueError(f"expected the name of a command, got {command!r} in the entry point {text!r}")
    if not _DOTTED.fullmatch(module) or not _DOTTED.fullmatch(function):
        raise ValueError(f"expected dotted names behind the '=' of the entry point {text!r}")
    return EntryPoint(command, module, function)
