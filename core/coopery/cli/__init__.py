"""The command line. Each command is a module here and has a twin in Python: `coopery.build.Builder`.

Results go to stdout, progress and errors to stderr. ``docs/cli.md`` describes it all. click and rich are imported
below this package and nowhere else; rich only where a live display is shown.
"""

from coopery.cli.root import main as main
