"""Modelfiles: the grammar, its errors with their lines, and that writing reads back the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import ModelfileError
from workbench.protocol import Modelfile, parse_modelfile
from workbench.types import Message


def test_every_instruction_is_read() -> None:
    text = '''# a comment
FROM ./model.gguf
from base:latest
adapter lora.gguf
  PARAMETER temperature 0.5
PARAMETER num_ctx 4096
PARAMETER num_ctx 2048
PARAMETER stop "<|im_end|>"
PARAMETER stop stop here
PARAMETER use_mmap false
PARAMETER mirostat 1
TEMPLATE """{{ .System }}
# not a comment
{{ .Prompt }}"""
SYSTEM You are # kind.
LICENSE """
MIT
"""
LICENSE second
MESSAGE user Hello
MESSAGE assistant "Hi
there"
REQUIRES 0.14.0
RENDERER one
PARSER two
DRAFT three
'''
    read = parse_modelfile(text)
    assert read == Modelfile(
        from_=("./model.gguf", "base:latest"),
        adapters=("lora.gguf",),
        parameters={
            "temperature": 0.5,
            "num_ctx": 2048,
            "stop": ["<|im_end|>", "stop here"],
            "use_mmap": False,
        },
        template="{{ .System }}\n# not a comment\n{{ .Prompt }}",
        system="You are # kind.",
        license=("\nMIT\n", "second"),
        messages=(Message("user", "Hello"), Message("assistant", "Hi\nthere")),
        requires="0.14.0",
        renderer="one",
        parser="two",
        draft="three",
    )
    assert isinstance(read.parameters["num_ctx"], int)


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ('""', ""),
        ('"""a"""', "a"),
        ('"a" b"', 'a" b'),
        ("'single'", "'single'"),
        ('a "quoted" word', 'a "quoted" word'),
        ('"""a"b"""  ', 'a"b'),
        ('"one  \n  two"', "one  \n  two"),
        ('\n"""later"""', "later"),
        ("\ttabbed \r", "tabbed"),
        ('"back\\slash \\n"', "back\\slash \\n"),
    ],
)
def test_values(value: str, read: str) -> None:
    assert parse_modelfile(f"FROM x\nSYSTEM {value}\n").system == read


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_byte_order_marks(encoding: str) -> None:
    mark = {"utf-16-le": b"\xff\xfe", "utf-16-be": b"\xfe\xff"}.get(encoding, b"")
    assert parse_modelfile(mark + "FROM x\nSYSTEM é\n".encode(encoding)).system == "é"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no FROM line"),
        ("# only a comment", "no FROM line"),
        ("SYSTEM hello", "no FROM line"),
        ("FROM x\nFRO y", "(line 2): command must be one of"),
        ("FROM x\n\n{}", "(line 3): command must be one of"),
        ("FROM", "(line 1): FROM needs a value"),
        ("FROM x\nSYSTEM  \nFROM y", "(line 2): SYSTEM needs a value"),
        ('FROM x\nSYSTEM """never closed\n\n', "(line 2): unexpected EOF"),
        ('FROM x\nSYSTEM "never closed', "(line 2): unexpected EOF"),
        ("FROM x\nPARAMETER", "(line 2): PARAMETER needs a name"),
        ("FROM x\nPARAMETER top_k", "(line 2): PARAMETER TOP_K needs a value"),
        ("FROM x\nPARAMETER Temperature 1", "(line 2): unknown parameter 'Temperature'"),
        ("FROM x\nPARAMETER nonsense 1", "(line 2): unknown parameter 'nonsense'"),
        ("FROM x\nPARAMETER top_k many", "(line 2): invalid int value 'many'"),
        ("FROM x\nPARAMETER temperature hot", "(line 2): invalid float value 'hot'"),
        ("FROM x\nPARAMETER temperature nan", "(line 2): invalid float value 'nan'"),
        ("FROM x\nPARAMETER use_mmap maybe", "(line 2): invalid bool value 'maybe'"),
        ("FROM x\nMESSAGE User hi", "(line 2): message role must be one of"),
        ("FROM x\nMESSAGE tool hi", "(line 2): message role must be one of"),
        ("FROM x\nMESSAGE user", "(line 2): MESSAGE USER needs a value"),
        ("FROM x\nSYSTEM a\0b", "(line 2): the text holds a NUL character"),
        (b"FROM x\nSYSTEM \xff\xfe", "(line 2): the text is not valid UTF-8"),
        (b"\xff\xfeF", "the text is not valid UTF-16"),
        (b"GGUF\x03\0\0\0", "(line 1): the text holds a NUL character"),
    ],
)
def test_a_bad_line_is_named(text: str | bytes, message: str) -> None:
    with pytest.raises(ModelfileError) as caught:
        parse_modelfile(text)
    assert message in str(caught.value)


texts = st.text(alphabet=st.sampled_from(list('ab" #\n\té{}')), max_size=12)


@given(system=texts, template=texts, stop=st.lists(texts, min_size=1, max_size=2), said=texts)
def test_what_is_written_reads_back_the_same(
    system: str, template: str, stop: list[str], said: str
) -> None:
    record = Modelfile(
        from_=("base",),
        system=system,
        template=template,
        parameters={"top_k": 3, "temperature": 0.25, "use_mmap": True, "stop": stop},
        messages=(Message("user", said),),
    )
    try:
        text = record.render()
    except ModelfileError:
        assert any('"""' in value for value in (system, template, said, *stop))
        return
    assert parse_modelfile(text) == record


def test_what_cannot_be_written_is_said() -> None:
    for text in ('a"""\nb', "a\0b"):
        with pytest.raises(ModelfileError, match="cannot be written"):
            Modelfile(from_=("x",), system=text).render()
