"""Filters and search: what is found, in which order, what words are taken for, what is refused."""

from __future__ import annotations

import math
from dataclasses import fields, replace

import pytest
from catalogue_cards import BARE, CARDS, CODER, LLAMA, MINI, SMALL
from hypothesis import given
from hypothesis import strategies as st

from workbench.cards import shipped
from workbench.catalogue import Catalogue, Filters, Results
from workbench.errors import InvalidRequest, ModelNotFound
from workbench.fit import Load, Profile

CATALOGUE = Catalogue(CARDS)
SHIPPED = Catalogue(shipped())


def names(results: Results) -> list[str]:
    return [hit.card.name for hit in results.hits]


def found(text: str = "", catalogue: Catalogue = CATALOGUE, **filters: object) -> list[str]:
    return names(catalogue.search(Filters(text=text, **filters)))  # type: ignore[arg-type]


def test_nothing_asked_finds_all_installed_first() -> None:
    results = CATALOGUE.search()
    assert results.count == len(CARDS) and names(results)[0] == MINI.name
    assert {hit.relevance for hit in results.hits} == {1.0}
    assert all(hit.price is None for hit in results.hits)


def test_without_words_what_the_machine_can_run_comes_first() -> None:
    machine = Profile("m", "m", 8 * 10**9)
    verdicts = [hit.price.verdict for hit in SHIPPED.search(profile=machine).hits if hit.price]
    runs = [verdict not in {"no", "unknown"} for verdict in verdicts]
    assert runs == sorted(runs, reverse=True) and {True, False} == set(runs)


def test_an_exact_name_is_before_its_beginning_before_a_word_before_a_typo() -> None:
    cards = [
        replace(LLAMA, name=name, family="", aliases=(), hf_repo=None, publisher=None)
        for name in ("solar:10b", "solar-pro:22b", "big-solar:1b", "solor:1b")
    ]
    results = Catalogue(cards).search(Filters(text="solar:10b"))
    assert names(results) == ["solar:10b"] and results.hits[0].relevance == 1.0
    results = Catalogue(cards).search(Filters(text="solar"))
    assert names(results) == ["solar:10b", "solar-pro:22b", "big-solar:1b"]
    relevance = [hit.relevance for hit in results.hits]
    assert relevance == sorted(relevance, reverse=True) and 0.8 < relevance[-1] < relevance[0] < 1
    typo = Catalogue(cards[:1]).search(Filters(text="solra")).hits[0]
    assert 0 < typo.relevance < 0.6


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("lama3.1", LLAMA.name),
        ("qwen codr", CODER.name),
        ("QWEN2.5 CODER", CODER.name),
        ("minlm", MINI.name),
        ("meta", LLAMA.name),
        ("Llama-3.1-8B-Instruct", LLAMA.name),
        ("llama3.1", LLAMA.name),
        ("mistral small", SMALL.name),
        ("  mystery \n", BARE.name),
        ("8b", LLAMA.name),
    ],
)
def test_words_find_a_model_however_they_are_written(text: str, first: str) -> None:
    assert found(text)[0] == first


def test_the_first_letter_finds_what_begins_with_it() -> None:
    assert set(found("m")) >= {BARE.name, SMALL.name}
    assert found("zzzzzz") == []


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"category": "code"}, {CODER.name}),
        ({"category": " CODE "}, {CODER.name}),
        ({"size_class": "medium"}, {LLAMA.name, CODER.name}),
        ({"min_parameters": 1e9}, {LLAMA.name, CODER.name, SMALL.name}),
        ({"max_parameters": 1e9}, {MINI.name}),
        ({"min_parameters": 8e9, "max_parameters": 9e9}, {LLAMA.name}),
        ({"license": "apache"}, {CODER.name, MINI.name, SMALL.name}),
        ({"license": "llama"}, {LLAMA.name}),
        ({"min_context": 32_768}, {LLAMA.name, CODER.name, SMALL.name}),
        ({"quantisation": "q4_k_m"}, {LLAMA.name, CODER.name}),
        ({"capability": "tools"}, {LLAMA.name, CODER.name}),
        ({"installed": True}, {MINI.name}),
        ({"publisher": "alibaba"}, {CODER.name}),
        ({"family": "qwen"}, {CODER.name}),
        ({"max_parameters": 1e308}, {LLAMA.name, CODER.name, SMALL.name, MINI.name}),
    ],
)
def test_a_filter_leaves_what_states_the_fact(
    filters: dict[str, object], expected: set[str]
) -> None:
    assert set(found(**filters)) == expected


@pytest.mark.parametrize("name", ["min_parameters", "max_parameters", "min_context", "max_memory"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -1, True, "8b", [], 1j])
def test_an_absurd_number_is_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(InvalidRequest, match=name):
        found(**{name: value})


@pytest.mark.parametrize(
    ("filters", "words"),
    [
        ({"category": "codee"}, "code"),
        ({"size_class": "gigantic"}, "tiny"),
        ({"sort": "sped"}, "speed"),
        ({"license": "apach3"}, "Apache"),
        ({"capability": "tool"}, "tools"),
        ({"quantisation": "Q9_X"}, "Q4_K_M"),
        ({"min_parameters": 9e9, "max_parameters": 8e9}, "no model is both"),
        ({"min_performance": 1.5}, "between 0 and 1"),
        ({"category": ""}, "must be a word"),
        ({"text": "x" * 501}, "500"),
    ],
)
def test_what_does_not_exist_is_refused_with_what_does(
    filters: dict[str, object], words: str
) -> None:
    with pytest.raises(InvalidRequest, match=words):
        found(**filters)


@pytest.mark.parametrize("sort", ["name", "parameters", "context", "released", "download"])
def test_sorting_puts_what_is_not_known_last_both_ways(sort: str) -> None:
    up, down = found(sort=sort, descending=False), found(sort=sort, descending=True)
    assert len(up) == len(down) == len(CARDS)
    if sort == "name":
        assert up == sorted(up) == down[::-1]
    else:
        known = [card.name for card in CARDS if getattr(card, sort) is not None]
        assert set(up[: len(known)]) == set(down[: len(known)]) == set(known)
        assert up[0] == down[len(known) - 1] or len(known) < 2


@pytest.mark.parametrize(
    ("text", "filters", "rest"),
    [
        ("a code model that fits in 8 GB", {"category": "code", "max_memory": 8e9}, ""),
        ("16gb vision", {"category": "vision", "max_memory": 16e9}, ""),
        ("coding under 10b", {"category": "code", "max_parameters": 10e9}, ""),
        ("over 30 billion parameters", {"min_parameters": 30e9}, ""),
        ("qwen 128k context", {"min_context": 128e3}, "qwen"),
        ("installed embeddings", {"installed": True, "category": "embedding"}, ""),
        ("function calling apache", {"capability": "tools", "license": "Apache"}, ""),
        ("q8_0 llama", {"quantisation": "Q8_0"}, "llama"),
        ("small code", {"category": "code", "size_class": "small"}, ""),
        ("mistral small", {}, "mistral small"),
        ("largest math", {"category": "math", "sort": "parameters", "descending": True}, ""),
        ("nomic-embed-text", {}, "nomic-embed-text"),
        ("qwen2.5-coder:7b", {}, "qwen2.5-coder:7b"),
        ("a", {}, "a"),
    ],
)
def test_plain_words_become_filters_and_are_reported(
    text: str, filters: dict[str, object], rest: str
) -> None:
    results = SHIPPED.search(Filters(text=text))
    taken = {one.name: getattr(results.filters, one.name) for one in fields(Filters)}
    plain = {one.name: getattr(Filters(), one.name) for one in fields(Filters)}
    changed = {name: value for name, value in taken.items() if value != plain[name]}
    assert {**filters, **({"text": rest} if rest else {})} == changed
    assert {one.field for one in results.understood} == set(filters) - {"descending"}
    assert all(one.words and one.words in text and one.meaning for one in results.understood)
    assert results.count or "installed" in filters


def test_words_never_change_a_filter_that_is_set() -> None:
    results = SHIPPED.search(Filters(text="code in 8 GB", category="math", max_memory=4e9))
    assert results.filters.category == "math" and results.filters.max_memory == 4e9
    assert not results.understood


def test_fits_in_8_gb_finds_what_takes_no_more() -> None:
    results = SHIPPED.search(Filters(text="a code model that fits in 8 GB"))
    prices = [hit.price for hit in results.hits]
    assert prices and all(price and price.memory and price.memory <= 8e9 for price in prices)
    everything = SHIPPED.search(Filters(category="code"), profile=Profile("p", "", 8 * 10**9))
    small = [hit for hit in everything.hits if hit.price and (hit.price.memory or 1e99) <= 8e9]
    assert {hit.card.name for hit in small} == set(names(results))


def test_fits_leaves_out_what_does_not_and_what_nobody_can_tell() -> None:
    profile = Profile("laptop", "", 16 * 10**9)
    fitting = SHIPPED.search(Filters(fits=True), profile=profile)
    assert 0 < fitting.count < len(SHIPPED)
    for hit in fitting.hits:
        assert hit.price and hit.price.verdict not in {"no", "unknown"}
        assert hit.price.memory and hit.price.memory <= profile.memory
    unknown = Catalogue([BARE]).search(Filters(), profile=profile).hits[0].price
    assert unknown and unknown.verdict == "unknown" and unknown.memory is None
    assert Catalogue([BARE]).search(Filters(fits=True), profile=profile).count == 0


def test_a_limit_cuts_the_hits_and_not_the_count() -> None:
    results = CATALOGUE.search(Filters(), limit=2)
    assert len(results.hits) == 2 and results.count == len(CARDS)
    assert [hit.card for hit in results.hits] == [hit.card for hit in results.hits[:]]
    assert results.hits[-1] == results.hits[1]
    with pytest.raises(IndexError):
        results.hits[2]
    for limit in (-1, 1.5, "2"):
        with pytest.raises(InvalidRequest, match="limit"):
            CATALOGUE.search(limit=limit)  # type: ignore[arg-type]


def test_a_larger_context_costs_more_and_is_priced_anew() -> None:
    profile = Profile("p", "", 64 * 10**9)
    prices = [SHIPPED.prices(profile, Load(context=size)) for size in (4096, 32_768)]
    place = next(i for i, card in enumerate(SHIPPED.cards) if card.name == "llama3.1:8b")
    small, large = (price.of(place).memory for price in prices)
    assert small and large and small < large
    assert SHIPPED.prices(profile, Load(context=4096)) is prices[0]
    assert prices[0].complete(60)


def test_cards_of_one_network_share_its_price() -> None:
    cards = [replace(shipped()[0], name=f"copy{number}:1b") for number in range(50)]
    prices = Catalogue(cards).prices(Profile("p", "", 10**12))
    assert all(prices.of(place) is prices.of(0) for place in range(50))


def test_a_model_is_got_by_name_alias_or_repository() -> None:
    for name in ("llama3.1:8b", "LLAMA3.1", " llama3.1:latest ", LLAMA.hf_repo):
        assert CATALOGUE.get(str(name)) is LLAMA
    assert CATALOGUE.get("mystery") is BARE
    with pytest.raises(ModelNotFound, match=r"qwen2\.5-coder:7b"):
        CATALOGUE.get("qwen2.5-codr:7b")
    with pytest.raises(ModelNotFound, match="Search"):
        Catalogue([]).get("x" * 10_000)


def test_facets_count_what_there_is() -> None:
    assert CATALOGUE.facets["category"]["general"] == 2
    assert CATALOGUE.facets["license"] == {"Apache-2.0": 3, "LicenseRef-Llama-3.1-Community": 1}


def test_an_empty_catalogue_finds_nothing() -> None:
    assert found("llama", Catalogue([])) == [] and found("", Catalogue([])) == []


@given(st.text(max_size=80))
def test_any_text_is_searched_for(text: str) -> None:
    results = CATALOGUE.search(Filters(text=text))
    assert results.count == len(results.hits) <= len(CARDS)
    assert all(0 < hit.relevance <= 1 for hit in results.hits)


@given(st.lists(st.sampled_from(["code", "8", "GB", "under", "7b", "fits", "in", "llama", "a"])))
def test_any_heap_of_words_is_understood_the_same_way_again(words: list[str]) -> None:
    first = CATALOGUE.search(Filters(text=" ".join(words)), profile=Profile("p", "", 10**10))
    again = CATALOGUE.search(Filters(text=" ".join(words)), profile=Profile("p", "", 10**10))
    assert names(first) == names(again) and first.understood == again.understood
