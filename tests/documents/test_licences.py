"""Licences told by their sentences and their files' names."""

from __future__ import annotations

import pytest

from workbench.documents import is_licence, licence_of


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("MIT License\n\nPermission is hereby granted, free of charge, to any person obtaining\n"
         "a copy of this software", "MIT"),
        ("Apache License\n    Version 2.0, January 2004", "Apache-2.0"),
        ("Redistribution and use in source and binary forms, with or without\n"
         "Neither the name may be used to endorse or promote", "BSD-3-Clause"),
        ("Redistribution and use in source and binary forms, with or without", "BSD-2-Clause"),
        ("GNU GENERAL PUBLIC LICENSE\n   Version 3, 29 June 2007", "GPL-3.0"),
        ("GNU GENERAL PUBLIC LICENSE\n   Version 2, June 1991", "GPL-2.0"),
        ("GNU LESSER GENERAL PUBLIC LICENSE\n Version 2.1, February 1999", "LGPL-2.1"),
        ("Mozilla Public License Version 2.0", "MPL-2.0"),
        ("PYTHON SOFTWARE FOUNDATION LICENSE VERSION 2", "PSF-2.0"),
        ("PSF LICENSE AGREEMENT FOR PYTHON 3.11.2\nRedistribution and use in source and binary "
         "forms", "PSF-2.0"),
        ("for any purpose\nwith or without fee is hereby granted, provided that", "ISC"),
        ("MIT License. Permission is hereby granted, free of charge, to any person obtaining a "
         "copy. Parts: Apache License, Version 2.0", "MIT"),
        ("This is free and unencumbered software released into the public domain.", "Unlicense"),
        ("Creative Commons Attribution-ShareAlike 4.0 International", "CC-BY-SA-4.0"),
        ("Creative Commons Attribution 4.0 International Public License", "CC-BY-4.0"),
        ("All rights reserved.", "see LICENSE"),
    ],
)  # fmt: skip
def test_licences_by_their_sentences(text: str, name: str) -> None:
    assert licence_of(text, "LICENSE") == name


def test_a_licence_is_told_by_its_name() -> None:
    names = ("LICENSE", "licence.md", "LICENSE-MIT", "COPYING.LESSER", "UNLICENSE", "license.html")
    assert all(map(is_licence, names))
    assert not any(map(is_licence, ("license.py", "license_check.py", "licensed.txt", "copy")))
