"""The temporary folder of a program that has no file system of its own: its size, its end.

A program may leave anything: folders inside folders without end, folders that nobody may read,
links to the caller's files. Nothing here follows a link or goes deeper than the list of names.
"""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

MOST_ENTRIES = 10_000


def is_full(folder: str, most: int) -> bool:
    """Whether the files take more than `most` bytes of disk, or are too many to be counted."""
    waiting, entries, size = [folder], 0, 0
    while waiting:
        try:
            with os.scandir(waiting.pop()) as found:
                for entry in found:
                    facts = entry.stat(follow_symlinks=False)
                    entries, size = entries + 1, size + facts.st_blocks * 512
                    if stat.S_ISDIR(facts.st_mode):
                        waiting.append(entry.path)
                    if entries > MOST_ENTRIES or size > most:
                        return True
        except FileNotFoundError:
            continue  # the program removes as we look
        except OSError:  # a name too long, a folder that may not be read: no honest program
            return True
    return False


def remove(folder: str) -> None:
    """Removes a folder however deep it is: each folder inside is moved to one place first."""
    shallow = Path(tempfile.mkdtemp(prefix="workbench-sandbox-", dir=Path(folder).parent))
    waiting, count = [Path(folder)], 0
    while waiting:
        current = waiting.pop()
        current.chmod(stat.S_IRWXU)
        with os.scandir(current) as found:
            entries = [(Path(entry), entry.is_dir(follow_symlinks=False)) for entry in found]
        for path, is_folder in entries:
            if is_folder:
                path.chmod(stat.S_IRWXU)  # a folder that may not be written cannot be moved
                waiting.append(path.rename(shallow / str(count)))
                count += 1
            else:
                path.unlink()
        current.rmdir()
    shallow.rmdir()
