"""The command line: one file a command, found by name when it is asked for.

May import app. A command prints with rich or, for `--output json`, with orjson; exit codes are
0 fine, 1 findings or failure, 2 usage.
"""

from windvane.cli.main import main

__all__ = ["main"]
