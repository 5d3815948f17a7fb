"""Make a real conda channel of a real Python and real scientific wheels.

    python -m channel OUTPUT_DIR        (in the folder tests/, or by the path of this file)

Python and its libraries come from the machine's Debian mirror, wheels from the package index as pip is configured;
which ones stands in ``packages.toml``. Downloads are kept beside the output. When nothing changed since the last time,
nothing is done.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
import tempfile
import time
from pathlib import Path

FOLDER = Path(__file__).parent
STAMP = "made-from"


def main(argv: list[str]) -> int:
    """The program. Returns its exit status."""
    if len(argv) != 1 or argv[0].startswith("-"):
        sys.stderr.write(f"{__doc__}\n")
        return 2
    output = Path(argv[0]).resolve()
    stamp = _digest()
    if (output / STAMP).is_file() and (output / STAMP).read_text(encoding="utf-8") == stamp:
        sys.stderr.write(f"{output}: made already\n")
        return 0
    return _make(output, stamp)


def _digest() -> str:
    """Of all that the channel is a function of, here: the pins and this program."""
    digest = hashlib.sha256()
    for path in sorted((*FOLDER.glob("*.py"), *FOLDER.glob("*.toml"))):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _make(output: Path, stamp: str) -> int:
    sys.path.insert(0, str(FOLDER.parent))
    from channel.contents import read
    from channel.make import make

    started = time.monotonic()
    output.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f"{output.name}-", dir=output.parent))
    try:
        count = make(read(), staging, output.with_name(f"{output.name}-downloads"))
        (staging / STAMP).write_text(stamp, encoding="utf-8")
        staging.chmod(0o755)
        if output.exists():
            output.rename(old := staging.with_name(f"{staging.name}-old"))
            staging.rename(output)
            shutil.rmtree(old)
        else:
            staging.rename(output)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    size = sum(path.stat().st_size for path in output.rglob("*") if path.is_file()) / 1e6
    sys.stderr.write(f"{output}: {count} packages, {size:.0f} MB, {time.monotonic() - started:.1f} s\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
