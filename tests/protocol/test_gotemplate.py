"""Go templates: the language, Ollama's way of using it, and templates that mean harm."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import InvalidRequest
from workbench.protocol import is_go_template, parse_template, render_template

TOOL = {"type": "function", "function": {"name": "now", "parameters": {"type": "object"}}}
VALUES: dict[str, Any] = {
    "System": "Be kind.",
    "Prompt": "Hi <there> & \"you\"",
    "Empty": "",
    "List": ["a", "b", "c"],
    "None": [],
    "Number": 3,
    "Half": 0.5,
    "Yes": True,
    "Map": {"two": 2, "one": 1},
    "Tools": [TOOL],
    "Messages": [
        {"role": "user", "content": "One"},
        {"role": "assistant", "content": "", "tool_calls": [
            {"function": {"name": "now", "arguments": {"zone": "é<"}}}
        ]},
        {"role": "user", "content": "Two"},
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("plain } text", "plain } text"),
        ("{{ .System }}", "Be kind."),
        ("a {{- .System -}} b", "aBe kind.b"),
        ("a {{ .System }} b", "a Be kind. b"),
        ("a  {{- /* a }} comment */ -}}  b", "ab"),
        ("a {{/* comment */}} b", "a  b"),
        ("{{ .Prompt }}", 'Hi <there> & "you"'),
        ("{{ .Missing }}{{ .Missing.Deeper }}", ""),
        ("{{ if .Empty }}y{{ else }}n{{ end }}", "n"),
        ("{{ if .Empty }}1{{ else if .None }}2{{ else if .Yes }}3{{ else }}4{{ end }}", "3"),
        ("{{ if and .System (not .Empty) }}y{{ end }}", "y"),
        ("{{ if or .Empty .None }}y{{ else }}n{{ end }}", "n"),
        ("{{ or .Empty .System }}", "Be kind."),
        ("{{ and .Empty (index .None 5) }}|", "|"),
        ("{{ range .List }}{{ . }},{{ end }}", "a,b,c,"),
        ("{{ range $i, $x := .List }}{{ $i }}={{ $x }} {{ end }}", "0=a 1=b 2=c "),
        ("{{ range $x := .List }}{{ $x }}{{ $.Number }}{{ end }}", "a3b3c3"),
        ("{{ range .None }}x{{ else }}none{{ end }}", "none"),
        ("{{ range $k, $v := .Map }}{{ $k }}{{ $v }}{{ end }}", "one1two2"),
        ("{{ range 3 }}{{ . }}{{ end }}", "012"),
        ('{{ range .List }}{{ if eq . "b" }}{{ continue }}{{ end }}{{ . }}{{ end }}', "ac"),
        ('{{ range .List }}{{ if eq . "b" }}{{ break }}{{ end }}{{ . }}{{ end }}', "a"),
        ("{{ with .System }}{{ . }}!{{ end }}", "Be kind.!"),
        ("{{ with .Empty }}x{{ else }}{{ .Number }}{{ end }}", "3"),
        ("{{ with .Empty }}x{{ else with .List }}{{ index . 1 }}{{ end }}", "b"),
        ("{{ $x := 1 }}{{ if .Yes }}{{ $x = 2 }}{{ end }}{{ $x }}", "2"),
        ("{{ $x := 1 }}{{ if .Yes }}{{ $x := 2 }}{{ $x }}{{ end }}{{ $x }}", "21"),
        ("{{ if $y := .Number }}{{ $y }}{{ end }}", "3"),
        ('{{ eq .Number 3 }} {{ ne .Number 3 }} {{ eq "b" "a" "b" }}', "true false true"),
        ("{{ lt 1 2 }} {{ le 2 2 }} {{ gt 1 2 }} {{ ge 1 2 }}", "true true false false"),
        ("{{ len .List }} {{ len .Empty }} {{ len .Missing }}", "3 0 0"),
        ("{{ index .List 2 }} {{ (index .Messages 2).Content }}", "c Two"),
        ('{{ index .Map "two" }}', "2"),
        ("{{ slice .List 1 }} {{ slice .List 0 1 | len }}", '["b","c"] 1'),
        ("{{ eq (len (slice $.List 2)) 1 }}", "true"),
        ("{{ json .Map }} {{ .Map | json }}", '{"two":2,"one":1} {"two":2,"one":1}'),
        ("{{ .Half }} {{ .Yes }} {{ -5 }} {{ 1.5 }}", "0.5 true -5 1.5"),
        ('{{ printf "%s-%d-%v-%q%%" "a" 5 true "q" }}', 'a-5-true-"q"%'),
        ('{{ print "a" 1 }}{{ println "b" }}', "a1b\n"),
        ('{{ "a\\n\\"b" }}{{ `raw\\n` }}{{ "}}" }}', 'a\n"braw\\n}}'),
        ('{{ if eq .Missing "" }}zero{{ end }}', "zero"),
        ('{{ range .Tools }}{{ . }}{{ .Function.Name }}{{ end }}',
         '{"type":"function","function":{"name":"now","parameters":{"type":"object"}}}now'),
        ("{{ range .Messages }}{{ range .ToolCalls }}{{ .Function.Name }}"
         "{{ .Function.Arguments }}{{ end }}{{ end }}", 'now{"zone":"é<"}'),
        ('{{- range $i, $_ := .Messages }}\n{{- $last := eq (len (slice $.Messages $i)) 1 }}'
         '[{{ .Role }}] {{ .Content }}{{ if $last }} END{{ end }}{{ end }}',
         "[user] One[assistant] [user] Two END"),
    ],
)  # fmt: skip
def test_what_a_template_renders(template: str, text: str) -> None:
    assert render_template(template, VALUES) == text


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("a\n{{ .System", "line 2: unclosed action"),
        ("{{ if .System }}", "line 1: unexpected EOF"),
        ("\n\n{{ end }}", "line 3: unexpected or unsupported {{end}}"),
        ("{{ else }}", "unexpected or unsupported {{else}}"),
        ("{{ break }}", "unexpected or unsupported {{break}}"),
        ('{{ define "x" }}{{ end }}', "unexpected or unsupported {{define}}"),
        ("{{ }}", "missing value"),
        ("{{ if }}x{{ end }}", "missing value"),
        ("{{ nothing .System }}", 'function "nothing" not defined'),
        ("{{ $x }}", 'undefined variable "$x"'),
        ("{{ $x = 1 }}", 'undefined variable "$x"'),
        ("{{ .System .Prompt }}", "only a function takes arguments"),
        ("{{ .System | .Prompt }}", "only a function takes arguments"),
        ("{{ (.System }}", "unclosed parenthesis"),
        ("{{ .System ) }}", "unexpected ')'"),
        ('{{ "a }}', "unexpected"),
        ("{{ ; }}", "unexpected ';"),
        ('{{ "\\z" }}', "unknown escape"),
        ("{{ index .List 9 }}", "error calling index: index out of range: 9"),
        ("{{ index .List -1 }}", "index out of range"),
        ("{{ slice .List 9 }}", "error calling slice"),
        ('{{ lt 1 "a" }}', "error calling lt"),
        ("{{ len 5 }}", "error calling len"),
        ("{{ eq 1 }}", "error calling eq"),
        ('{{ printf "%d" "x" }}', "error calling printf"),
        ('{{ printf "%s" }}', "error calling printf"),
        ("{{ range .System }}{{ end }}", "range can't iterate"),
        ("{{ if 1 }}" * 60 + "{{ end }}" * 60, "too deeply nested"),
        ("{{ " + "(" * 60 + "1" + ")" * 60 + " }}", "too deeply nested"),
        ("{{ range 1000000000 }}{{ end }}{{ range 1000000000 }}x{{ end }}", "renders too much"),
        ('{{ $x := "aaaaaaaa" }}{{ range 64 }}{{ $x = print $x $x }}{{ end }}', "renders too much"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(template: str, message: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        render_template(template, VALUES)
    assert str(caught.value).startswith("template error: line ")
    assert message in str(caught.value)


def test_a_cut_rendering_ends_where_the_answer_begins() -> None:
    template = "{{ if .Prompt }}<u>{{ .Prompt }}</u>{{ end }}<a>{{ .Response }}</a>\n"
    values = {"Prompt": "Hi", "Response": ""}
    assert render_template(template, values) == "<u>Hi</u><a></a>\n"
    assert render_template(template, values, cut=True) == "<u>Hi</u><a>"
    guarded = "{{ .Prompt }}<a>{{ if .Response }}{{ .Response }}</a>{{ end }}."
    assert render_template(guarded, values, cut=True) == "Hi<a>"


def test_what_a_template_asks_for_is_known() -> None:
    read = parse_template("{{ if .Tools }}{{ end }}{{ range .Messages }}{{ .Role }}{{ end }}")
    assert read.fields == {"Tools", "Messages", "Role"}


@pytest.mark.parametrize(
    ("text", "go"),
    [
        ("{{ .Prompt }}", True),
        ("plain", True),
        ("{{- range .Messages }}{{ end }}", True),
        ("{% for m in messages %}{{ m.content }}{% endfor %}", False),
        ("{{ bos_token }}{{ messages[0].content }}", False),
        ("{{- messages[0]['content'] }}", False),
    ],
)
def test_the_two_kinds_of_templates_are_told_apart(text: str, go: bool) -> None:
    assert is_go_template(text) is go


PIECES = st.sampled_from(
    ["{{", "}}", "{{-", "-}}", " ", "\n", "if", "else", "end", "range", "with", "break", ".",
     ".List",
     "$x", ":=", "=", "|", "(", ")", ",", '"a"', "`", '"', "/*", "*/", "1", "-", "eq", "slice", "x"]
)  # fmt: skip


@given(st.lists(PIECES, max_size=25).map(" ".join))
def test_any_text_renders_or_is_refused(template: str) -> None:
    try:
        render_template(template, VALUES)
    except InvalidRequest as error:
        assert str(error).startswith("template error: ")
