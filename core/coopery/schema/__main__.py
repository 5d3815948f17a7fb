"""``python -m coopery.schema``: print the schema. Redirect it into ``environment.schema.json`` to renew that."""

from __future__ import annotations

import sys

from coopery.schema import text

sys.stdout.write(text())
