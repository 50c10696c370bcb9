"""Keys, tokens and passwords: what gives access to something.

The forms are those that their makers document or that scanners such as gitleaks and
detect-secrets look for. A value that was assigned to a name such as `password` counts when it is
random enough: at least 8 characters, letters and digits, and an entropy of 3 bits a character.

What leads to a person: e-mail, telephone, bank account, card, social security, IP address.

Numbers are checked where they carry a check (IBAN: ISO 7064 mod 97-10; cards: Luhn) and otherwise
need the form in which people write them, since most digits in documents are nothing of the kind.
Names and street addresses are not looked for.
"""

from __future__ import annotations

import ipaddress
import math
import re
from collections import Counter

from workbench.refine._find import Finder

_LEAST_ENTROPY = 3.0
_PLACEHOLDER = re.compile(
    r"(?i)example|placeholder|change.?me|your|dummy|sample|test|xxx|\*\*\*|\.\.\.|1234567|abcdef|"
    r"[<>${}()\[\]]"
)


def _random(match: re.Match[str]) -> bool:
    value = match["quoted"] or match["bare"]
    digits = sum(map(str.isdigit, value))
    if not 0 < digits < len(value) or _PLACEHOLDER.search(value):
        return False
    counts = Counter(value).values()
    entropy = -sum(n / len(value) * math.log2(n / len(value)) for n in counts)
    return entropy >= _LEAST_ENTROPY


def _has_digit(match: re.Match[str]) -> bool:
    return any(map(str.isdigit, match.group()))


def _real(match: re.Match[str]) -> bool:
    return not re.search(r"[<>${}\[\]]|\*\*|^(password|passwd|pass|pw)$", match["value"], re.I)


_NAMES = ("passw", "pwd", "secret", "token", "api_key", "apikey", "api-key", "access_key",
          "accesskey", "credential")  # fmt: skip
_ASSIGNED = re.compile(
    r"[\w.\-\]]{0,40}[\"']?[ \t]{0,8}(?::=|=>|=|:)[ \t]{0,8}(?:"
    r"[bruf]{0,2}(?P<quote>[\"'])(?P<quoted>[^\"'\s]{8,256})(?P=quote)|"
    r"(?P<bare>[A-Za-z0-9+/_=\-!@%^&*]{16,256})$)", re.MULTILINE,
)  # fmt: skip

SECRETS = (
    Finder("PRIVATE_KEY", re.compile(
        r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----"
        r"(?:[^-]|-(?!----)){0,20000}(?:-----END [A-Z0-9 ]{0,40}-----)?"), ("-----BEGIN ",)),
    Finder("AWS_KEY", re.compile(r"(?<![A-Za-z0-9])A(?:KI|SI)A[A-Z2-7]{16}(?![A-Za-z0-9])"),
           ("AKIA", "ASIA")),
    Finder("GITHUB_TOKEN", re.compile(r"gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_\w{50,255}"),
           ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_")),
    Finder("GITLAB_TOKEN", re.compile(r"glpat-[\w\-]{20,64}"), ("glpat-",)),
    Finder("SLACK_TOKEN", re.compile(r"xox[abeoprs]-[A-Za-z0-9-]{10,255}"), ("xox",), _has_digit),
    Finder("SLACK_HOOK", re.compile(r"hooks\.slack\.com/services/T\w{6,20}/B\w{6,20}/\w{16,40}"),
           ("hooks.slack.com/",)),
    Finder("GOOGLE_KEY", re.compile(r"AIza[\w\-]{35}(?![\w\-])"), ("AIza",)),
    Finder("API_KEY", re.compile(r"(?<![\w-])(?:sk-[\w\-]{20,255}|[rs]k_live_[A-Za-z0-9]{16,255})"),
           ("sk-", "sk_live_", "rk_live_"), _has_digit),
    Finder("API_KEY", re.compile(r"(?<!\w)(?:hf_[A-Za-z0-9]{30,64}|npm_[A-Za-z0-9]{36}"
                                 r"|pypi-AgEIcHlwaS5vcmc[\w\-]{40,255})"),
           ("hf_", "npm_", "pypi-AgE")),
    Finder("JWT", re.compile(r"eyJ[\w\-]{10,4000}\.eyJ[\w\-]{10,8000}\.[\w\-]{10,2000}"),
           ("eyJ",)),
    Finder("PASSWORD", re.compile(r"://[^\s/:@\"'<>]{0,100}:(?P<value>[^\s/@\"'<>]{3,100})@"),
           ("://",), _real, ("value",)),
    Finder("PASSWORD", _ASSIGNED, _NAMES, _random, ("quoted", "bare"), folded=True),
)  # fmt: skip

# the domains of RFC 2606 and those of hosts that write in nobody's name
_NOBODY = re.compile(
    r"(?i)(?:^|[@.])(?:example(?:\.(?:com|org|net|edu))?|test|invalid|localhost|local|domain\.com)$|"
    r"^(?:git|hg|svn|noreply|no-reply|user|you|me|foo|bar)@"
)
_ENDINGS = (
    " com org net edu gov mil int info biz name pro dev app cloud tech online site store email "
    "jobs mobi xyz page blog shop world "
)


def _mail(match: re.Match[str]) -> bool:
    ending = match.group().rpartition(".")[2].lower()
    before = match.string[max(match.start() - 1, 0) : match.start()]
    known = len(ending) == 2 or f" {ending} " in _ENDINGS
    return known and before not in (":", "/") and not _NOBODY.search(match.group())


def _free(match: re.Match[str]) -> bool:
    """Neither part of a longer word or number."""
    around = match.string[max(match.start() - 1, 0) : match.start()]
    return not (around and (around.isalnum() or around in "_.+-"))


def _luhn(match: re.Match[str]) -> bool:
    digits = [int(one) for one in match.group() if one.isdigit()]
    if len(set(digits)) < 4 or not _free(match):
        return False
    doubled = [sum(divmod(2 * one, 10)) for one in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def _iban(match: re.Match[str]) -> bool:
    value = match.group().replace(" ", "")
    if not 15 <= len(value) <= 34 or not _free(match):
        return False
    return int("".join(str(int(one, 36)) for one in value[4:] + value[:4])) % 97 == 1


def _phone(match: re.Match[str]) -> bool:
    return _phone_length(match) and _free(match)


def _phone_length(match: re.Match[str]) -> bool:
    """Of E.164; numbers with 555-01 are for fiction."""
    digits = sum(map(str.isdigit, match.group()))
    different = len(set(match.group()) - set("+ ()./-"))
    return 8 <= digits <= 15 and different > 3 and "555-01" not in match.group()


def _ssn(match: re.Match[str]) -> bool:
    area, group, serial = match.group().split("-")
    possible = area not in ("000", "666") and area < "900" and group != "00" and serial != "0000"
    return possible and _free(match)


def _public(match: re.Match[str]) -> bool:
    """An address of the Internet; four small numbers are rather a version or a section."""
    text = match.group()
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    if address.version == 4 and max(address.packed) < 30:
        return False
    if address.version == 6 and (len(text) < 9 or text.count(":") < 3):
        return False
    return address.is_global and _free(match)


PERSONAL = (
    Finder("EMAIL", re.compile(
        r"[A-Za-z0-9_%+-][A-Za-z0-9._%+-]{0,63}@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,62})\.){1,8}"
        r"[A-Za-z]{2,24}(?![A-Za-z0-9(])"), ("@",), _mail, back=64),
    Finder("IBAN", re.compile(r"[A-Z][A-Z][0-9][0-9](?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?"
                              r"(?!\w)"), ("AA00",), _iban, form=True),
    Finder("PHONE", re.compile(r"\+[1-9][0-9]{0,2}[ .-]?(?:\(0\)[ ]?)?(?:[(]?[0-9]{1,5}[)]?[ ./-]?)"
                               r"{2,6}[0-9]{2,}(?![\w])"), ("+0.",), _phone, form=True),
    Finder("PHONE", re.compile(r"(?:fon|phone|tel|fax|mobile)[a-z]{0,3}[.: ]{0,3}"
                               r"(?P<value>\(?0[0-9 ()/-]{6,18}[0-9])(?![\w.])", re.IGNORECASE),
           ("fon", "phone", "tel.", "tel:", "fax", "mobile"), _phone_length, ("value",),
           folded=True),
    Finder("IP", re.compile(r"[23][0-9A-Fa-f]{3}:(?:[0-9A-Fa-f]{0,4}:){1,6}[0-9A-Fa-f]{0,4}(?!\w)"),
           ("hhhh:",), _public, form=True),
    Finder("CARD", re.compile(
        r"(?:3[47][0-9]{2}[ -]?[0-9]{6}[ -]?[0-9]{5}|[2456][0-9]{3}(?P<s>[ -]?)[0-9]{4}(?P=s)"
        r"[0-9]{4}(?P=s)[0-9]{4})(?![0-9.])"), (), _luhn),
    Finder("SSN", re.compile(r"[0-9]{3}-[0-9]{2}-[0-9]{4}(?![0-9-])"), (), _ssn),
    Finder("PHONE", re.compile(r"\(?[2-9][0-9]{2}(?:\) ?|[-. ])[2-9][0-9]{2}[-.][0-9]{4}"
                               r"(?![0-9.-])"), (), _phone),
    Finder("IP", re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?![0-9]|\.[0-9])"), (), _public),
)  # fmt: skip
