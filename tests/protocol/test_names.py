"""Names: what is taken, how it is shown, and that nothing hostile becomes a path."""

from __future__ import annotations

import string
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import InvalidRequest
from workbench.protocol import ModelName


@pytest.mark.parametrize(
    ("text", "path", "shown"),
    [
        ("llama3", "registry.ollama.ai/library/llama3/latest", "llama3:latest"),
        ("Llama3.2:1B", "registry.ollama.ai/library/Llama3.2/1B", "Llama3.2:1B"),
        ("me/my_model", "registry.ollama.ai/me/my_model/latest", "me/my_model:latest"),
        (
            "hf.co/org/Repo-GGUF:Q4_K_M",
            "hf.co/org/Repo-GGUF/Q4_K_M",
            "hf.co/org/Repo-GGUF:Q4_K_M",
        ),
        ("localhost:5000/a/b:c", "localhost:5000/a/b/c", "localhost:5000/a/b:c"),
        ("localhost:5000/a/b", "localhost:5000/a/b/latest", "localhost:5000/a/b:latest"),
        ("http://h:1/a/b:c", "h:1/a/b/c", "h:1/a/b:c"),
        ("REGISTRY.ollama.AI/Library/x", "REGISTRY.ollama.AI/Library/x/latest", "x:latest"),
        ("_a:_b", "registry.ollama.ai/library/_a/_b", "_a:_b"),
    ],
)
def test_a_good_name_has_a_path_and_a_short_form(text: str, path: str, shown: str) -> None:
    name = ModelName.parse(text)
    assert (str(name.path()), name.display()) == (path, shown)


HOSTILE = [
    "", ":", "/", "a:", ":a", "a/", "/a", "a//b", "../../x", "..", ".", "a/..", "../a/b:c", "a:..",
    "a/b/c/d/e", "a/b/c/d", "a@sha256", "a@sha256:" + "0" * 64, "a\0b", "a\nb", "a\n", "a b", " a",
    "a\\b", "C:\\x", "~", "-a", ".a", "a.b/c", "é", "a:b:c", "a" * 81, "a:" + "t" * 81,
    "n" * 81 + "/a", "h" * 351 + "/n/a", "ftp://h/a/b", "https://", "file:///etc/passwd", "١",
    "a/b:c/d", "h:1:/x",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_a_bad_name_is_refused_with_the_protocols_words(text: str) -> None:
    with pytest.raises(InvalidRequest, match=r"^invalid model name$") as caught:
        ModelName.parse(text)
    assert caught.value.status == 400


def test_the_longest_parts_are_taken() -> None:
    text = "h" * 350 + "/" + "n" * 80 + "/" + "m" * 80 + ":" + "t" * 80
    assert ModelName.parse(text).display() == text


def test_case_does_not_make_another_model_but_is_kept() -> None:
    one, other = ModelName.parse("Phi:Latest"), ModelName.parse("phi")
    assert one.key() == other.key()
    assert one.display() == "Phi:Latest"


def test_the_scheme_is_kept_and_is_no_part_of_the_name() -> None:
    plain = ModelName.parse("http://h/a/b")
    assert plain.scheme == "http"
    assert plain == ModelName.parse("h/a/b")


@given(st.text(alphabet=string.printable + "é\0", max_size=30))
def test_whatever_is_parsed_is_a_safe_path_that_parses_again(text: str) -> None:
    try:
        name = ModelName.parse(text)
    except InvalidRequest:
        return
    path = name.path()
    assert len(path.parts) == 4
    assert not path.is_absolute()
    assert not any(part.startswith(".") for part in path.parts)
    assert ModelName.parse(name.display()) == ModelName.parse(name.display())
    assert ModelName.parse(name.display()).key() == name.key()


def test_the_room_needs_nothing_but_the_standard_library() -> None:
    code = (
        "import sys, workbench.protocol as p;"
        "roots = {name.partition('.')[0] for name in sys.modules};"
        "print(sorted(roots & {'httpx', 'pydantic', 'numpy', 'anyio', 'platformdirs'}))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (run.stdout.strip(), run.returncode) == ("[]", 0), run.stderr
