"""Runs in an image, by its own Python: every path below a folder with kind, mode, content and target."""

import hashlib
import os
import stat
import sys


def main(top, out):
    lines = []
    for parent, folders, files in os.walk(top):
        for name in (*folders, *files):
            path = os.path.join(parent, name)
            info = os.lstat(path)
            kind, content = stat.S_IFMT(info.st_mode), ""
            if stat.S_ISLNK(info.st_mode):
                content = os.readlink(path)
            elif stat.S_ISREG(info.st_mode):
                with open(path, "rb") as file:
                    content = hashlib.sha256(file.read()).hexdigest()
            mode = 0 if stat.S_ISLNK(info.st_mode) else stat.S_IMODE(info.st_mode)
            lines.append(f"{path!r} {kind:o} {mode:o} {content!r}")
    with open(out, "w") as file:
        file.write("\n".join(sorted(lines)))


main(*sys.argv[1:])
