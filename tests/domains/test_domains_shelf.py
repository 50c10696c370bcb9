"""Which domains there are, their files, their pages."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.domains import add, check, domains, find, page, parameters, problems, read, remove
from workbench.errors import ModelfileError
from workbench.protocol import OPTIONS
from workbench.settings import home
from workbench.tasks import find_suite

TAXES = """# title: Taxes
# About: Reads *forms*.
#suite: finance
# ask: One?
# ask: Two?

FROM tiny:v1
SYSTEM Be exact.
"""


def test_four_ship_and_are_whole() -> None:
    assert [one.name for one in domains()] == ["development", "finance", "health", "legal"]
    assert problems() == []
    for one in domains():
        assert check(one.modelfile) == [], one.name
        modelfile = one.parsed
        assert modelfile.parameters["num_ctx"] == 8192 and len(modelfile.from_) == 1
        assert len(one.about) > 40 and len(one.asks) >= 3 and not one.own
        assert find_suite(one.suite).domain == one.name
        assert "You do not" in modelfile.system or "you do not" in modelfile.system.lower()
        assert len(modelfile.system) < 8192, "it leaves room for a conversation"


def test_a_file_is_a_domain(tmp_path: Path) -> None:
    path = tmp_path / "Modelfile.taxes"
    path.write_text(TAXES, "utf-8")
    made = add(path)
    assert (made.name, made.title, made.about) == ("taxes", "Taxes", "Reads *forms*.")
    assert (made.suite, made.asks, made.own) == ("finance", ("One?", "Two?"), True)
    assert made.path == home() / "domains" / "Modelfile.taxes" and find("taxes") == made
    with pytest.raises(ModelfileError, match="There is a domain taxes of yours already"):
        add(TAXES, "taxes")
    assert add(TAXES + "LICENSE MIT\n", "taxes", replace=True).parsed.license == ("MIT",)
    remove("taxes")
    assert len(domains()) == 4
    with pytest.raises(ModelfileError, match="There is no domain 'taxes'"):
        find("taxes")
    with pytest.raises(ModelfileError, match=r"Did you mean health or legal\?"):
        find("healt")


def test_comments_count_at_the_beginning_only() -> None:
    made = add('FROM x\n# title: Late\nSYSTEM """\n# ask: no\n"""\n', "plain")
    assert (made.title, made.about, made.suite, made.asks) == ("Plain", "", "", ())


def test_one_of_yours_takes_the_place_of_one_that_ships() -> None:
    shipped = find("health")
    add(shipped.modelfile.replace("temperature 0.2", "temperature 0.5"), "health")
    assert find("health").own and find("health").parsed.parameters["temperature"] == 0.5
    assert len(domains()) == 4
    remove("health")
    assert find("health") == shipped
    with pytest.raises(ModelfileError, match="health ships with the workbench"):
        remove("health")


def test_what_cannot_be_read_hides_nothing(tmp_path: Path) -> None:
    folder = home() / "domains"
    folder.mkdir()
    (folder / "Modelfile.broken").write_text("FROM x\nSYSTM y\n", "utf-8")
    (folder / "Modelfile.latin").write_bytes("FROM x\nSYSTEM für\n".encode("latin-1"))
    (folder / "Modelfile.BAD").write_text("FROM x\n", "utf-8")
    (folder / "Modelfile.large").write_text("FROM x\nSYSTEM " + "x" * 300_000, "utf-8")
    (folder / "Modelfile.folder").mkdir()
    outside = tmp_path / "outside"
    outside.write_text(TAXES, "utf-8")
    (folder / "Modelfile.link").symlink_to(outside)
    assert len(domains()) == 4
    told = "\n".join(problems())
    for words in (
        "Modelfile.broken (line 2)", "not valid UTF-8", "'BAD' cannot name a domain",
        "larger than 256 kB", "There is no file", "is a link",
    ):  # fmt: skip
        assert words in told
    with pytest.raises(ModelfileError, match=r"\(line 2\)"):
        find("broken")
    remove("link")
    assert outside.exists() and "is a link" not in "\n".join(problems())


@pytest.mark.parametrize("name", ["", "../x", "a/b", "A", "x" * 33, "a.b", "-a"])
def test_bad_names(name: str) -> None:
    with pytest.raises(ModelfileError, match="cannot name a domain"):
        add("FROM x\n", name)
    with pytest.raises(ModelfileError, match="cannot name a domain"):
        remove(name)


def test_texts_that_are_no_modelfile(tmp_path: Path) -> None:
    for text in ("", "SYSTEM x\n", "FROM x\nPARAMETER heat 3\n", "FROM x\nSYSTEM \0"):
        with pytest.raises(ModelfileError, match="The Modelfile of taxes"):
            add(text, "taxes")
    with pytest.raises(ModelfileError, match="is not kept"):
        add("FROM x\n" + "#" * 300_000, "taxes")
    with pytest.raises(ModelfileError, match="There is no file"):
        add(tmp_path / "Modelfile.absent")
    assert not (home() / "domains").exists()
    plain = tmp_path / "plain"
    plain.write_text(TAXES, "utf-8")
    assert (read(plain).name, read(plain, "taxes").name) == ("", "taxes")
    with pytest.raises(ModelfileError, match="cannot name a domain"):
        add(plain)


def test_pages() -> None:
    for one in domains():
        text = page(one.name)
        assert text.startswith(f"# {one.title}\n")
        assert f"workbench bench run MODEL --suite {one.suite}" in text
        assert "| num\\_ctx | 8192 |" in text and one.parsed.system.strip() in text
        assert len(find_suite(one.suite).tasks) <= text.count("\n| ")
    add('# title: <b>X</b>\n# suite: nothing\n\nFROM x\nSYSTEM """```\n# break out\n"""\n', "odd")
    text = page("odd")
    assert "<b>" not in text and "There is no suite" in text and "````\n```\n# break" in text


def test_all_parameters_have_a_meaning() -> None:
    assert {one.name for one in parameters()} == set(OPTIONS)
    assert all(one.meaning.endswith(".") and one.kind for one in parameters())
