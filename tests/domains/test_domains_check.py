"""A Modelfile is checked as it is typed: every mistake, its place, what to do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.domains import Finding, check, diff, find
from workbench.engines import Engine
from workbench.errors import ModelfileError
from workbench.protocol import parse_modelfile

GOOD = 'FROM tiny:v1\nPARAMETER temperature 0.5\nSYSTEM """Be\nbrief."""\n'


def one(text: str, **more: object) -> Finding:
    """The only finding."""
    found = check(text, **more)  # type: ignore[arg-type]
    assert len(found) == 1, found
    return found[0]


def test_nothing_is_wrong() -> None:
    assert check(GOOD) == [] and check("\ufeff" + GOOD.replace("\n", "\r\n")) == []


@pytest.mark.parametrize(
    ("line", "severity", "column", "message", "fix"),
    [
        ("  SYSTM x", "error", 3, "'SYSTM' is no instruction", "Did you mean SYSTEM"),
        ("SYSTEM", "error", 1, "SYSTEM needs a value", "Write the value"),
        ('SYSTEM "x', "error", 1, "quote after SYSTEM is not closed", "Close it"),
        ("MESSAGE bot x", "error", 1, "Message role must", "MESSAGE user"),
        ("PARAMETER", "error", 1, "PARAMETER needs a name", "PARAMETER temperature"),
        ("PARAMETER temprature 1", "error", 11, "no parameter 'temprature'", "mean temperature?"),
        ("PARAMETER top_k many", "error", 17, "'many' cannot be the value of top_k",
         "a whole number from 0 to 200; 40 is the default"),
        ("PARAMETER temperature nan", "error", 23, "'nan' cannot be", "a number from 0 to 2"),
        ("PARAMETER use_mmap maybe", "error", 20, "'maybe' cannot be", "true or false"),
        ("PARAMETER kv_cache_type q9", "error", 25, "'q9' cannot be", "one of f16, q8_0, q4_0"),
        ("PARAMETER temperature 3.5", "warning", 23, "0 to 2", "How freely"),
        ("PARAMETER num_ctx -5", "warning", 19, "4 to 262144", "Tokens that the model sees"),
        ("PARAMETER mirostat 1", "note", 11, "older versions", "Delete the line"),
        ('PARAMETER stop ""', "error", 1, "empty text cannot stop", ""),
        ("PARAMETER stop \\n\\n", "warning", 1, "There are no escapes", '"""'),
        ("ADAPTER ./lora", "note", 1, "a domain cannot have", "models create"),
        ("REQUIRES 0.9", "note", 1, "left out", ""),
        ("MESSAGE user Hello", "warning", 1, "last MESSAGE is the user's", "MESSAGE assistant"),
        ("TEMPLATE {{ .Prompt", "error", 1, "template cannot be read", "docs/modelfile.md"),
        ("TEMPLATE Hello", "error", 1, "never writes what the user says", ".Prompt"),
        ("TEMPLATE {% for m in messages %}{{ m.content }", "error", 1, "no Jinja", ""),
        ("TEMPLATE {% if bos_token %}x{% endif %}", "error", 1, "never writes what", "messages"),
        ("FROM other", "warning", 1, "second FROM", ""),
    ],
)  # fmt: skip
def test_each_mistake(line: str, severity: str, column: int, message: str, fix: str) -> None:
    found = one(f"FROM tiny:v1\n\n{line}\n")
    assert (found.line, found.column, found.severity) == (3, column, severity), found
    assert message in found.message and fix in found.fix


def test_all_at_once() -> None:
    text = 'PARAMETER heat 1\nSYSTM """\nFROM inside\n"""\nPARAMETER top_k x\nTEMPLATE {{ end }}\n'
    found = check(text)
    assert [(one.line, one.severity) for one in found] == [
        (1, "error"), (1, "error"), (2, "error"), (5, "error"), (6, "error"),
    ]  # fmt: skip
    assert "no FROM line" in " ".join(one.message for one in found)


def test_lines_of_a_template() -> None:
    text = 'FROM x\nTEMPLATE """{{ .System }}\n{{ .Prompt }}\n{{ nothing }}\n"""\n'
    assert one(text).line == 4
    text = "FROM x\nSYSTEM Be brief.\nTEMPLATE {{ .Prompt }}\n"
    assert "never writes the system text" in one(text).message


def test_jinja_of_hugging_face() -> None:
    text = "{% for message in messages %}{% generation %}{{ message.content }}{% endgeneration %}"
    assert check(f'FROM x\nTEMPLATE """{text}\n{{% endfor %}}"""\n') == []
    found = one(f'FROM x\nTEMPLATE """{text}\n{{% endfr %}}"""\n')
    assert found.line == 3 and "endfr" in found.message


def test_what_is_there_twice() -> None:
    found = check("FROM x\nSYSTEM a\nSYSTEM b\nPARAMETER top_k 3\nPARAMETER top_k 4\n")
    assert [(one.line, one.severity) for one in found] == [(2, "warning"), (4, "warning")]
    assert "line 3" in found[0].message and "line 5" in found[1].message
    assert check("FROM x\nPARAMETER stop a\nPARAMETER stop b\n") == []
    assert one("FROM x\nPARAMETER stop a\nPARAMETER stop a\n").severity == "note"


def test_what_does_not_go_together() -> None:
    found = one("FROM x\nPARAMETER num_ctx 1024\nPARAMETER num_predict 2048\n")
    assert found.line == 3 and "leaves no room" in found.message
    found = one("FROM x\nPARAMETER num_ctx 1024\nSYSTEM " + "word " * 1000)
    assert found.line == 3 and "1249 of 1024 tokens" in found.message
    text = "FROM x\nTEMPLATE <|im_start|>{{ .Prompt }}\nPARAMETER stop <|eot_id|>\n"
    assert "never writes <|eot_id|>" in one(text).message
    assert check(text.replace("eot_id", "im_start")) == []


def test_the_suite_is_known() -> None:
    found = one("# title: X\n# suite: helth\n\nFROM x\n")
    assert (found.line, found.severity) == (2, "warning") and "Did you mean health?" in found.fix
    assert check("FROM x\n# suite: helth\n") == [], "no comment at the beginning"


def test_with_an_engine(engine: Engine) -> None:
    assert check(GOOD, engine=engine) == []
    found = one("FROM tiny\n", engine=engine)
    assert "The base tiny is not installed" in found.message and "tiny:v1" in found.fix
    assert check("FROM tiny\n", engine=engine, base="tiny:v1") == []
    found = one("FROM tiny:v1\nPARAMETER num_ctx 8192\n", engine=engine)
    assert found.severity == "warning" and "trained for: 512 tokens" in found.message
    assert "writes no texts" in one("FROM embed\n", engine=engine).message
    found = one("FROM tiny:v1\nPARAMETER stop <|eot|>\n", engine=engine)
    assert "never writes <|eot|>" in found.message
    assert check("FROM tiny:v1\nPARAMETER stop <|im_end|>\n", engine=engine) == []
    assert one("FROM ./weights.gguf\n", engine=engine).severity == "note"
    assert "cannot be a model's name" in one("FROM a b c\n", engine=engine).message
    health = check(find("health").modelfile, engine=engine)
    assert [one.severity for one in health] == ["error"] and "qwen2.5" in health[0].message


@given(st.text(max_size=200))
def test_any_text_gets_an_answer(text: str) -> None:
    found = check(text)
    assert all(one.line >= 1 and one.column >= 1 and one.message for one in found)
    try:
        parse_modelfile(text)
    except ModelfileError:
        assert any(one.severity == "error" for one in found)


@given(
    st.lists(
        st.sampled_from(
            ["FROM x", "SYSTEM a", 'SYSTEM """', '"""', "PARAMETER stop x", "PARAMETER top_k 1e3",
             "TEMPLATE {{ .Prompt }}", "TEMPLATE {% x", "MESSAGE user", "# suite: x", "FRM", "\0",
             ""]
        ),
        max_size=12,
    )
)  # fmt: skip
def test_whatever_is_typed(lines: list[str]) -> None:
    text = "\n".join(lines)
    found = check(text)
    assert all(1 <= one.line <= len(lines) + 1 for one in found)
    try:
        parse_modelfile(text)
    except ModelfileError:
        assert any(one.severity == "error" for one in found)


def test_too_long() -> None:
    assert "longer than 256 kB" in one("x" * 300_000).message
    assert 1 <= len(check("FRM x\n" * 2000)) <= 50


def test_side_by_side() -> None:
    rows = diff(GOOD, 'FROM "tiny:v1"\nPARAMETER top_k 3\nSYSTEM Be kind.\n# a comment\n')
    assert [(row.what, row.before, row.after) for row in rows] == [
        ("FROM", "tiny:v1", "tiny:v1"),
        ("PARAMETER temperature", "0.5", ""),
        ("SYSTEM", "Be\nbrief.", "Be kind."),
        ("PARAMETER top_k", "", "3"),
    ]
    assert [row.changed for row in rows] == [False, True, True, True]
    assert not any(row.changed for row in diff(GOOD, GOOD.replace("FROM", "# x\nfrom")))
    with pytest.raises(ModelfileError, match="line 1"):
        diff("FRM x", GOOD)
