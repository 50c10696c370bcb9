"""Scorers that compare texts: equal, contained, matching, near.

`rouge_l` is the F1 of the longest common subsequence of words (Lin, ROUGE, 2004), without
stemming. `bleu` and `chrf` are sacrebleu's for a single sentence; their mean over samples is not
the score of a whole corpus. Where a target is a list, the best of its texts counts.
"""

from __future__ import annotations

import re
import string
import unicodedata
from typing import Any

from workbench.scorers._answers import accepted, cosine, right, shown, unknown, words
from workbench.scorers._records import Sample, Tools, Verdict

_NO_TARGET = "The sample has no target."
_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_PUNCTUATION = str.maketrans(dict.fromkeys(string.punctuation + "‘’“”„«»–—…´", " "))
_MOST_COMPARED = 20_000  # words of rouge_l, characters of bleu, chrf and similarity
_MOST_PATTERN = 2_000


def exact(answer: str, sample: Sample, tools: Tools) -> Verdict:
    """The answer is the target, space around it aside."""
    targets = accepted(sample.target)
    if not targets:
        return unknown(_NO_TARGET)
    return right(answer.strip() in {target.strip() for target in targets}, shown(answer.strip()))


def normalised(answer: str, sample: Sample, tools: Tools, *, first_line: bool = False) -> Verdict:
    """The same without case, punctuation, articles and extra space, as SQuAD compares answers."""
    targets = accepted(sample.target)
    if not targets:
        return unknown(_NO_TARGET)
    if first_line:
        answer = next((line for line in answer.splitlines() if line.strip()), "")
    found = _normal(answer)
    return right(found in set(map(_normal, targets)), shown(found))


def _normal(text: str) -> str:
    plain = unicodedata.normalize("NFKC", text).casefold().strip()
    bare = " ".join(_ARTICLES.sub(" ", plain.translate(_PUNCTUATION)).split())
    return bare or plain  # of "+" or "A" nothing would be left


def includes(
    answer: str,
    sample: Sample,
    tools: Tools,
    *,
    all: bool = False,
    ignore_case: bool = True,
    whole_words: bool = False,
) -> Verdict:
    """The answer contains one of the targets, or all of them."""
    targets = [target for target in accepted(sample.target) if target]
    if not targets:
        return unknown(_NO_TARGET)
    form = r"(?<!\w){}(?!\w)" if whole_words else "{}"
    flags = re.IGNORECASE if ignore_case else re.NOFLAG
    missing = [t for t in targets if not re.search(form.format(re.escape(t)), answer, flags)]
    fine = not missing if all else len(missing) < len(targets)
    return right(fine, f"missing: {', '.join(map(shown, missing[:5]))}" if missing else "")


def regex(
    answer: str,
    sample: Sample,
    tools: Tools,
    *,
    pattern: str = "",
    group: int = 0,
    ignore_case: bool = False,
    full: bool = False,
    seconds: float = 1.0,
) -> Verdict:
    """The pattern (the target where none is given) is found; of a group, that it is the target."""
    wanted = pattern or str(sample.target or "")
    if not wanted:
        return unknown(_NO_TARGET)
    found = search(wanted, answer, ignore_case=ignore_case, full=full, seconds=seconds)
    if not group:
        return right(found is not None, shown(found[0]) if found else "no match")
    if found is None:
        return right(False, "no match")
    part = found[group] or ""
    return right(_normal(part) in set(map(_normal, accepted(sample.target))), shown(part))


def search(
    pattern: str, text: str, *, ignore_case: bool = False, full: bool = False, seconds: float = 1.0
) -> Any:
    """The match or None. ValueError for a pattern that is none, or takes longer than `seconds`.

    With the regex package, which watches the time inside a match and lets other threads run.
    """
    import regex  # type: ignore[import-untyped]

    if len(pattern) > _MOST_PATTERN:
        raise ValueError(f"a pattern has at most {_MOST_PATTERN} characters")
    flags = regex.IGNORECASE if ignore_case else 0
    try:
        find = regex.compile(pattern, flags)
        return (find.fullmatch if full else find.search)(text, timeout=seconds, concurrent=True)
    except TimeoutError:
        raise ValueError(f"the pattern {shown(pattern)} takes too long on this answer") from None
    except (regex.error, RecursionError) as error:
        raise ValueError(f"{shown(pattern)} is not a regular expression: {error}") from None


def rouge_l(answer: str, sample: Sample, tools: Tools) -> Verdict:
    """F1 of the longest common subsequence of words."""
    from rapidfuzz.distance import LCSseq

    targets = [words(target)[:_MOST_COMPARED] for target in accepted(sample.target)]
    if not any(targets):
        return unknown(_NO_TARGET)
    said = words(answer)[:_MOST_COMPARED]
    best = Verdict(0.0, parts={"precision": 0.0, "recall": 0.0})
    for target in filter(None, targets):
        common = LCSseq.similarity(said, target)
        value = 2 * common / (len(said) + len(target))
        if common and value > (best.value or 0):
            best = Verdict(
                value, parts={"precision": common / len(said), "recall": common / len(target)}
            )
    return best


def bleu(answer: str, sample: Sample, tools: Tools) -> Verdict:
    """BLEU of this answer alone, 0 to 1."""
    return _sacrebleu("sentence_bleu", answer, sample)


def chrf(answer: str, sample: Sample, tools: Tools) -> Verdict:
    """chrF2 of this answer alone, 0 to 1: shared sequences of 1 to 6 characters."""
    return _sacrebleu("sentence_chrf", answer, sample)


def _sacrebleu(name: str, answer: str, sample: Sample) -> Verdict:
    import sacrebleu

    targets = [target[:_MOST_COMPARED] for target in accepted(sample.target) if target.strip()]
    if not targets:
        return unknown(_NO_TARGET)
    score = getattr(sacrebleu, name)(answer[:_MOST_COMPARED], targets).score
    return Verdict(min(1.0, max(0.0, score / 100)))


def similarity(answer: str, sample: Sample, tools: Tools) -> Verdict:
    """Cosine of the embeddings of answer and target, below 0 as 0."""
    targets = [target[:_MOST_COMPARED] for target in accepted(sample.target) if target.strip()]
    if not targets:
        return unknown(_NO_TARGET)
    if tools.embed is None:
        return unknown("No embedding model is at hand. Name one for this run.")
    if not answer.strip():
        return right(False, "The answer is empty.")
    first, *others = tools.embed([answer[:_MOST_COMPARED], *targets])
    near = [value for other in others if (value := cosine(first, other)) is not None]
    if not near:
        return unknown("The embedding model gives no vectors that can be compared.")
    return Verdict(min(1.0, max(0.0, *near, 0.0)))
