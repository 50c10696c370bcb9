"""The `workbench` command: everything that a terminal or a script wants, one file per group.

Groups are loaded when they are used, so that `workbench --help` is quick. `--json` prints one
JSON document, or one object per line where there is a stream; exit codes are in `_errors`.
"""

from workbench.cli._main import main

__all__ = ["main"]
