"""Standard suites through lm-eval (an extra), measured on our engine, kept as runs like any other.

    job = submit_lm_eval("starter", ["arc_easy"], limit=100)
    run = measure_lm_eval("starter", "mine", include_path="tasks")

Their data is read where it is at hand; else the Hugging Face Hub is asked for it, by name.
"""

from __future__ import annotations

from workbench.standard._run import measure_lm_eval, run_lm_eval, submit_lm_eval

__all__ = ["measure_lm_eval", "run_lm_eval", "submit_lm_eval"]
