"""Which licence a text is, by sentences that only this licence has; its SPDX name."""

from __future__ import annotations

import re

_NAME = re.compile(r"((un)?licen[cs]es?|copying)([.-](?!py$)[\w.-]*)?", re.IGNORECASE)
_PHRASES = (
    ("Apache-2.0", "apache license version 2.0"),
    ("AGPL-3.0", "gnu affero general public license version 3"),
    ("LGPL-3.0", "gnu lesser general public license version 3"),
    ("LGPL-2.1", "gnu lesser general public license version 2.1"),
    ("LGPL-2.0", "gnu library general public license version 2"),
    ("GPL-3.0", "gnu general public license version 3"),
    ("GPL-2.0", "gnu general public license version 2"),
    ("MPL-2.0", "mozilla public license version 2.0"),
    ("MPL-2.0", "subject to the terms of the mozilla public license v. 2.0"),
    ("EPL-2.0", "eclipse public license - v 2.0"),
    ("PSF-2.0", "python software foundation license version 2"),
    ("PSF-2.0", "psf license agreement for python"),
    ("Unlicense", "this is free and unencumbered software released into the public domain"),
    ("CC0-1.0", "cc0 1.0 universal"),
    ("CC-BY-NC-SA-4.0", "attribution-noncommercial-sharealike 4.0"),
    ("CC-BY-NC-ND-4.0", "attribution-noncommercial-noderivatives 4.0"),
    ("CC-BY-NC-4.0", "attribution-noncommercial 4.0"),
    ("CC-BY-SA-4.0", "attribution-sharealike 4.0"),
    ("CC-BY-ND-4.0", "attribution-noderivatives 4.0"),
    ("CC-BY-4.0", "attribution 4.0 international"),
    ("BSL-1.0", "boost software license - version 1.0"),
    ("ISC", "for any purpose with or without fee is hereby granted, provided that"),
    ("MIT", "permission is hereby granted, free of charge, to any person obtaining a copy"),
)
_BSD = "redistribution and use in source and binary forms"
LICENCE_BYTES = 256 << 10


def is_licence(name: str) -> bool:
    """Whether a file at the root says by its name that it is the licence."""
    return _NAME.fullmatch(name) is not None


def licence_of(text: str, name: str) -> str:
    """The SPDX name, or "see LICENSE" (the file's name) where the text is none of the common.

    What comes first counts: licences quote others, and files add those of parts.
    """
    plain = _plain(text)
    found = [(plain.find(_plain(phrase)), spdx) for spdx, phrase in (*_PHRASES, ("BSD", _BSD))]
    place, spdx = min((one for one in found if one[0] >= 0), default=(0, f"see {name}"))
    if spdx == "BSD":
        return "BSD-3-Clause" if "endorse or promote" in plain[place:] else "BSD-2-Clause"
    return spdx


def _plain(text: str) -> str:
    return " ".join(re.sub(r"[*,#\"']", " ", text.lower()).split())
