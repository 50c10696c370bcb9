"""A process of its own that says what trainings would take: JSON lines in, JSON lines out.

An estimate loads PyTorch and Transformers, which in a notebook's kernel would stop the page for
seconds and stay in its memory. Questions are worked on at the same time, since one that tries
steps takes long and a newer one should not wait. The process ends with its standard input.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Lock
from typing import Any

from workbench.errors import WorkbenchError

_NICE = 5  # whoever waits for the page comes first


def answer(question: dict[str, Any]) -> dict[str, Any]:
    """`price` as `Price.to_json` has it, or `error` says why there is none."""
    from workbench.train import estimate

    try:
        return {"price": estimate(**question).to_json()}
    except WorkbenchError as error:
        return {"error": str(error)}
    except Exception as error:
        traceback.print_exc()
        return {"error": f"What this would take cannot be told ({type(error).__name__}: {error})."}


def main() -> None:
    """Answer until there are no more questions."""
    answers, turn = sys.stdout, Lock()
    sys.stdout = sys.stderr  # what libraries print is no answer
    with suppress(AttributeError, OSError):
        os.nice(_NICE)

    def work(line: str) -> None:
        asked = json.loads(line)
        found = {"id": asked["id"], **answer(asked["question"])}
        with turn:
            print(json.dumps(found), file=answers, flush=True)

    pool = ThreadPoolExecutor(4)
    for line in sys.stdin:
        pool.submit(work, line)
    os._exit(0)  # nobody waits for what is still tried


if __name__ == "__main__":
    main()
