"""Assistants for a domain, each one file `Modelfile.<domain>`: checked, tried, built, compared.

    for domain in domains():
        print(domain.name, domain.about)
    for finding in check(find("health").modelfile, engine=engine):
        print(finding.line, finding.message, finding.fix)
    for step in build(engine, "health", base="llama3.2:3b"):
        print(step.status)                       # … llama3.2-health:3b is made

Health, legal, finance and development ship; the user's are in `<home>/domains/`.
"""

from workbench.domains._build import build, target
from workbench.domains._check import check
from workbench.domains._diff import Row, diff
from workbench.domains._files import read_text
from workbench.domains._findings import Finding
from workbench.domains._page import page, parameters
from workbench.domains._preview import preview
from workbench.domains._shelf import Domain, add, domains, find, problems, read, remove
from workbench.domains._versions import Version, versions_of

__all__ = [
    "Domain",
    "Finding",
    "Row",
    "Version",
    "add",
    "build",
    "check",
    "diff",
    "domains",
    "find",
    "page",
    "parameters",
    "preview",
    "problems",
    "read",
    "read_text",
    "remove",
    "target",
    "versions_of",
]
