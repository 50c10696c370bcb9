"""A program that is told to end when we are gone: `python -m workbench.cli._tied PROGRAM …`.

A signal handler ends what was started, but no handler hears `kill -9`. On Linux the kernel keeps
the promise instead: it sends SIGTERM to the program when its parent dies, and that survives the
exec. Elsewhere the program simply runs.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_SET_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG


def main() -> None:
    """Become the program that the arguments name."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_DEATH_SIGNAL, signal.SIGTERM)
        if os.environ.pop("WORKBENCH_STARTER_PID", "") != str(os.getppid()):
            sys.exit(1)  # the parent died before it could be watched
    os.execv(sys.argv[1], sys.argv[1:])  # noqa: S606 (our own caller's arguments)


if __name__ == "__main__":
    main()
