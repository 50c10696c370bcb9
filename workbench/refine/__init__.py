"""From gathered documents to a corpus one can trust: cleaned, deduplicated, nothing of the tests.

    report = clean(documents("docs"), Rules(languages=("en",)), folder)   # folder/corpus.jsonl

Step by step (docs/refine.md): one way of writing, no boilerplate, the languages and the quality
that were asked for, secrets and personal data masked, no samples of a benchmark, nothing twice.
The report says of each step what it dropped, why, and where.
"""

from workbench.refine._clean import clean
from workbench.refine._report import STEPS, Contamination, Finding, Report, Step
from workbench.refine._rules import Rules, rules_of

__all__ = ["STEPS", "Contamination", "Finding", "Report", "Rules", "Step", "clean", "rules_of"]
