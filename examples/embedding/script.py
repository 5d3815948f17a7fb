"""Builds what is missing, then says which image to run."""

import sys

from coopery import Builder, CooperyError, Environment

try:
    with Builder() as builder:
        image = builder.build(Environment.load(sys.argv[1]))
except CooperyError as error:
    print(error, file=sys.stderr)
    raise SystemExit(error.exit_code) from error
print(image.reference)
