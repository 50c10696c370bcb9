"""Examples that models learn from, in one form: read, recognised, mapped, rendered, cut from code.

Datasets of such examples are kept by `data`.
"""

from workbench.examples._code import CodeKind, code_examples
from workbench.examples._findings import Finding, Findings, Severity
from workbench.examples._lines import Row
from workbench.examples._map import Preview, form_of, preview, shape_of, to_example, to_examples
from workbench.examples._names import ROLES, USES, role_of
from workbench.examples._read import FORMATS, Format, read_rows
from workbench.examples._recognise import Shape, recognise
from workbench.examples._records import FIELDS, Example, Form
from workbench.examples._render import Rendered, render
from workbench.examples._template import Template, template_of
from workbench.examples._tokens import Tokens, token_counter

__all__ = [
    "FIELDS",
    "FORMATS",
    "ROLES",
    "USES",
    "CodeKind",
    "Example",
    "Finding",
    "Findings",
    "Form",
    "Format",
    "Preview",
    "Rendered",
    "Row",
    "Severity",
    "Shape",
    "Template",
    "Tokens",
    "code_examples",
    "form_of",
    "preview",
    "read_rows",
    "recognise",
    "render",
    "role_of",
    "shape_of",
    "template_of",
    "to_example",
    "to_examples",
    "token_counter",
]
