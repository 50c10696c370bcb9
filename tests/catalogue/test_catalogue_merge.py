"""One card per model, whoever speaks of it; the nearest source's facts win."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from catalogue_cards import BARE, CARDS, CODER, LLAMA
from hypothesis import given
from hypothesis import strategies as st

from workbench.cards import Card, Score, Variant, merge, shipped
from workbench.catalogue import gather

OFFERED = replace(
    LLAMA,
    variants=(
        Variant("Q4_K_M", "llama3.1:8b-instruct-q4_K_M", 4_900_000_000, False),
        Variant("Q8_0", "llama3.1:8b-instruct-q8_0", 8_500_000_000, False),
    ),
    scores=(Score("MMLU", 69.4, "5-shot", "the publisher"),),
    sources={"context": "config.json", "released": "the publisher's page"},
)


def here(name: str, **more: object) -> Card:
    """The card of an installed model."""
    facts = {"family": name.split(":")[0], "installed": name, "origins": ("engine",), **more}
    return Card(name, **facts)  # type: ignore[arg-type]


def test_an_installed_model_marks_the_published_card() -> None:
    near = here("llama3.1:8b", quantisation="Q4_K_M", context=8192, download=5, digest="ab")
    near = replace(near, sources={"context": "the file's header"})
    (card,) = merge([near], [OFFERED])
    assert card.installed == card.name == "llama3.1:8b"
    assert card.context == 8192 and card.sources["context"] == "the file's header"
    assert card.publisher == "Meta" and card.released == "2024-07"
    assert card.sources["released"] == "the publisher's page"
    assert card.parameters == LLAMA.parameters and card.scores == OFFERED.scores
    assert card.origins == ("engine", "shipped") and card.digest == "ab" and card.download == 5
    assert [(one.quantisation, one.installed) for one in card.variants] == [
        ("Q4_K_M", True),
        ("Q8_0", False),
    ]


def test_another_quantisation_is_a_variant_of_the_same_model() -> None:
    near = here("llama3.1:8b-instruct-q8_0", quantisation="Q8_0", download=8_540_000_000)
    (card,) = merge([near], [OFFERED])
    assert card.name == card.installed == near.name and card.quantisation == "Q8_0"
    assert card.download == 8_540_000_000 and "llama3.1:8b" in card.aliases
    assert {one.quantisation: one.installed for one in card.variants} == {
        "Q8_0": True,
        "Q4_K_M": False,
    }


def test_two_installed_quantisations_are_one_model() -> None:
    near = [
        here("llama3.1:8b", quantisation="Q4_K_M"),
        here("llama3.1:8b-instruct-q8_0", quantisation="Q8_0"),
    ]
    (card,) = merge(near, [OFFERED])
    assert card.installed == "llama3.1:8b" and card.quantisation == "Q4_K_M"
    assert {one.name: one.installed for one in card.variants} == {
        "llama3.1:8b": True,
        "llama3.1:8b-instruct-q8_0": True,
    }


def test_names_differ_in_case_tag_and_home_only() -> None:
    spellings = ["Llama3.1:8B", "library/llama3.1", "registry.ollama.ai/library/llama3.1:latest"]
    for spelling in spellings:
        (card,) = merge([here(spelling)], [OFFERED])
        assert card.installed == spelling and card.publisher == "Meta"


def test_copies_of_one_model_are_one_card_with_both_names() -> None:
    (card,) = merge([here("mine:latest", digest="ab"), here("yours:latest", digest="sha256:ab")])
    assert card.name == "mine:latest" and card.aliases == ("yours:latest",)


def test_what_is_only_alike_stays_apart() -> None:
    others = [
        here("llama3.1:70b"),
        here("llama3.1-tuned:8b"),
        replace(LLAMA, name="llama3.1:8b.gguf", path=Path("/models/llama3.1:8b.gguf"), aliases=()),
    ]
    others[-1] = replace(others[-1], hf_repo=None)
    assert len(merge(others, [OFFERED])) == 4


def test_a_repository_joins_only_when_one_card_claims_it() -> None:
    file = Card("file", path=Path("/models/file.gguf"), hf_repo=LLAMA.hf_repo)
    (card,) = merge([file], [LLAMA])
    assert card.path == file.path and card.publisher == "Meta" and card.installed is None
    twin = replace(LLAMA, name="llama3.1:8b-other", aliases=())
    assert len(merge([file], [LLAMA, twin])) == 3


def test_files_that_differ_in_quantisation_are_variants() -> None:
    files = [
        Card(
            f"Tiny-1B-{mix}",
            parameters=10**9,
            quantisation=mix,
            download=size,
            path=Path(f"/models/Tiny-1B-{mix}.gguf"),
        )
        for mix, size in (("Q4_K_M", 600), ("Q8_0", 1100))
    ]
    (card,) = merge(files)
    assert card.quantisation == "Q4_K_M" and card.download == 600
    assert [(one.quantisation, one.bytes) for one in card.variants] == [
        ("Q4_K_M", 600),
        ("Q8_0", 1100),
    ]
    elsewhere = replace(files[1], path=Path("/other/Tiny-1B-Q8_0.gguf"))
    assert len(merge([files[0], elsewhere])) == 2


def test_an_installed_hub_model_joins_its_repository() -> None:
    hub = Card(
        "hf.co/someone/Tiny-GGUF",
        hf_repo="someone/Tiny-GGUF",
        license="MIT",
        variants=(Variant("Q4_K_M", "hf.co/someone/Tiny-GGUF:Q4_K_M", None, False),),
        origins=("hub",),
        fetched_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    (card,) = merge([here("huggingface.co/someone/Tiny-GGUF:Q4_K_M", quantisation="Q4_K_M")], [hub])
    assert card.license == "MIT" and card.fetched_at == hub.fetched_at
    assert card.installed and card.origins == ("engine", "hub")


def test_nothing_is_lost_and_nothing_invented() -> None:
    assert merge() == merge([]) == ()
    assert merge([BARE]) == (BARE,)
    assert [card.name for card in merge(CARDS, CARDS)] == [card.name for card in CARDS]
    assert merge(CARDS) == CARDS
    assert len(merge(shipped())) == len(shipped())


def test_the_whole_catalogue_holds_each_shipped_card_once() -> None:
    catalogue = gather()
    assert [card.name for card in catalogue] == [card.name for card in shipped()]
    assert catalogue.problems == ()


@given(st.permutations([CODER, LLAMA, here("llama3.1:8b"), here("qwen2.5-coder:7b"), BARE]))
def test_order_changes_neither_number_nor_marks(cards: list[Card]) -> None:
    merged = merge(cards)
    assert {card.name: bool(card.installed) for card in merged} == {
        LLAMA.name: True,
        CODER.name: True,
        BARE.name: False,
    }
    assert merged == merge(cards)


def test_a_users_own_card_adds_its_categories() -> None:
    mine = Card("llama3.1:8b", categories=("legal",), origins=("own",))
    theirs = Card("llama3.1:8b", categories=("general",), origins=("shipped",))
    (one,) = merge([mine], [theirs])
    assert one.categories == ("legal", "general")
