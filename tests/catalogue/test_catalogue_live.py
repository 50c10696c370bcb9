"""Live sources on loopback: a Hub and a registry that answer, lie, drip, vanish; and the cache."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from catalogue_cards import HubServer, repository
from engines.scripted import Answer, ScriptedServer, answer, chunked, silence, then_closed
from library.library_tools import serving
from library.registry_server import RegistryServer
from tiny import write_tiny_llama

from workbench.cards import _fetch, hub_search, on_disk, registry_card, remote_card
from workbench.catalogue import Catalogue, Filters, gather, network_for
from workbench.errors import (
    EngineError,
    EngineUnreachable,
    GGUFError,
    InvalidRequest,
    ModelNotFound,
)
from workbench.settings import home


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    server = HubServer([repository()])
    with serving(server.app) as url:
        monkeypatch.setenv("WORKBENCH_HF_ENDPOINT", url)
        yield server


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedServer]:
    server = ScriptedServer()
    monkeypatch.setenv("WORKBENCH_HF_ENDPOINT", server.url)
    monkeypatch.setattr(_fetch, "WHOLE", 1.5)
    yield server
    server.close()


@pytest.fixture
def registry() -> RegistryServer:
    return RegistryServer()


@pytest.fixture
def host(registry: RegistryServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with serving(registry.app) as url:
        monkeypatch.setenv("WORKBENCH_HF_ENDPOINT", url)
        yield url.removeprefix("http://")


def age_cache(days: int) -> None:
    """Make all that is kept look older."""
    for path in (home() / "catalogue").iterdir():
        record = json.loads(path.read_text())
        then = datetime.fromisoformat(record["fetched_at"]) - timedelta(days=days)
        path.write_text(json.dumps(record | {"fetched_at": then.isoformat()}))


# The Hub's search


def test_the_hub_is_searched_for_gguf_repositories(hub: HubServer) -> None:
    found = hub_search("  tiny   llama ")
    assert found.problems == () and hub.asked[0]["search"] == ["tiny llama"]
    assert hub.asked[0]["filter"] == ["gguf"] and "gguf" in hub.asked[0]["expand[]"]
    (card,) = found.cards
    assert card.name == "hf.co/someone/Tiny-1B-GGUF" and card.family == "Tiny-1B"
    assert card.parameters == 1_100_000_000 and card.context == 4096
    assert card.license == "Apache-2.0" and card.publisher == "someone"
    assert card.quantisation == "Q4_K_M" and card.download is None  # nobody said how large
    assert [one.name for one in card.variants] == [
        "hf.co/someone/Tiny-1B-GGUF:Q8_0",
        "hf.co/someone/Tiny-1B-GGUF:Q4_K_M",
    ]
    assert card.origins == ("hub",) and card.sources["context"] == "Hugging Face Hub"
    assert card.notes == ("Made from someone/Tiny-1B.",)
    assert card.fetched_at and datetime.now(UTC) - card.fetched_at < timedelta(minutes=1)
    catalogue = gather(live=found.cards)
    assert catalogue.search(Filters(text="tiny-1b")).hits[0].card.name == card.name


def test_an_answer_is_kept_and_asked_for_again_when_it_is_old(hub: HubServer) -> None:
    first = hub_search("tiny")
    assert hub_search("tiny") == first and len(hub.asked) == 1
    assert hub_search("tiny", refresh=True).fetched_at != first.fetched_at and len(hub.asked) == 2
    age_cache(1)
    assert hub_search("tiny").problems == () and len(hub.asked) == 3


def test_the_token_goes_to_the_hub_only_when_there_is_one(
    hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub_search("a")
    monkeypatch.setenv("HF_TOKEN", "secret")
    hub_search("b")
    assert hub.tokens == ["", "Bearer secret"]
    assert not any("secret" in path.read_text() for path in (home() / "catalogue").iterdir())


def test_offline_the_last_answer_serves_with_its_age(
    hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = hub_search("tiny")
    age_cache(3)
    closed = socket.create_server(("127.0.0.1", 0))  # its port is nobody's when it is closed
    nobody = f"127.0.0.1:{closed.getsockname()[1]}"
    closed.close()
    for path in (home() / "catalogue").iterdir():
        record = json.loads(path.read_text())
        address = record["url"].replace(record["url"].split("/")[2], nobody)
        _fetch.keep(
            address,
            _fetch.Answer(
                record["body"].encode("latin-1"), datetime.fromisoformat(record["fetched_at"])
            ),
        )
    monkeypatch.setenv("WORKBENCH_HF_ENDPOINT", f"http://{nobody}")
    found = hub_search("tiny")
    assert [card.name for card in found.cards] == [card.name for card in first.cards]
    (problem,) = found.problems
    assert "cannot be reached" in problem and "3 days ago" in problem
    nothing = hub_search("something else")
    assert nothing.cards == () and "cannot be reached" in nothing.problems[0]
    assert len(gather(live=nothing.cards)) > 300


def drip(exchange: object) -> None:
    """A byte now and then, for ever."""
    chunked(*[b"["] + [b" "] * 100, pause=0.1)(exchange)  # type: ignore[arg-type]


FLOOD = chunked(*[b" " * 1_000_000] * 40)
RUBBISH: dict[str, Answer] = {
    "html": answer(b"<html><body>Sign in to the hotel's network</body></html>", kind="text/html"),
    "an object": answer({"error": "no"}),
    "nothing": answer(b""),
    "deep": answer(b"[" * 200_000),
    "not text": answer(b"\xff\xfe\x00" * 1000),
    "an error": answer(b"sorry", status="503 Service Unavailable"),
    "no entry": answer(b"who?", status="401 Unauthorized"),
    "not found": answer(b"no", status="404 Not Found"),
    "elsewhere": answer(status="302 Found", headers=["Location: http://127.0.0.2:9/x"]),
    "nowhere": answer(status="302 Found", headers=["Location: ///"]),
    "a circle": answer(status="302 Found", headers=["Location: /again"]),
    "a file": answer(status="302 Found", headers=["Location: file:///etc/passwd"]),
    "cut": chunked(b"[{", end=False),
    "no protocol": then_closed(b"220 mail.example ESMTP\r\n"),
    "flood": FLOOD,
    "silence": silence,
    "drip": drip,
}


@pytest.mark.parametrize("kind", RUBBISH)
def test_rubbish_from_the_hub_is_one_clear_sentence(scripted: ScriptedServer, kind: str) -> None:
    scripted.says(RUBBISH[kind])
    found = hub_search("tiny")
    assert found.cards == ()
    (problem,) = found.problems
    assert problem.startswith("The Hugging Face Hub was not searched") and len(problem) < 400
    assert "Traceback" not in problem and "<html" not in problem
    assert not (home() / "catalogue").exists()  # and does not stay


def test_after_rubbish_a_good_answer_counts(scripted: ScriptedServer) -> None:
    scripted.says(answer(b"<html>hotel</html>"), answer([repository()]))
    assert hub_search("tiny").cards == ()
    assert len(hub_search("tiny").cards) == 1


@pytest.mark.parametrize(
    "item",
    [
        None,
        7,
        "text",
        [],
        {},
        {"id": None},
        {"id": "../../etc/passwd"},
        {"id": "a/b/c"},
        {"id": "someone/" + "x" * 500},
        {"id": "so\u202eme/one"},
        {"id": "<script>/x"},
        repository(siblings=None),
        repository(siblings="all"),
        repository(siblings=[1, None, {"rfilename": 7}, {"rfilename": "x" * 5000 + "-Q4_0.gguf"}]),
        repository(siblings=[{"rfilename": "model.safetensors"}]),
    ],
)
def test_an_item_that_cannot_be_is_left_out(hub: HubServer, item: object) -> None:
    hub.items = [item, repository("someone/Good-GGUF")]
    assert [card.name for card in hub_search("x").cards] == ["hf.co/someone/Good-GGUF"]


@pytest.mark.parametrize("value", [None, -1, 0, "8B", 1e308, True, [], {}, 2**70])
def test_a_number_that_cannot_be_is_missing(hub: HubServer, value: object) -> None:
    hub.items = [repository(gguf={"total": value, "context_length": value}, tags=value)]
    (card,) = hub_search("x").cards
    assert card.parameters is None and card.context is None and card.license is None
    assert "parameters" not in card.sources
    hub.items = [repository(gguf=value)]
    (card,) = hub_search("x", refresh=True).cards
    assert card.parameters is None


def test_damaged_files_of_the_cache_count_as_none(hub: HubServer) -> None:
    hub_search("tiny")
    (path,) = (home() / "catalogue").iterdir()
    whole = path.read_text()
    damages = ["", "{}", "[", whole[:-5], whole.replace("http", "ftp", 1), '{"url": 1}', "null"]
    for number, damage in enumerate(damages, 2):
        path.write_text(damage)
        assert hub_search("tiny").problems == () and len(hub.asked) == number
        assert path.read_text() != damage


def test_a_cache_that_cannot_be_written_is_no_reason_to_fail(hub: HubServer) -> None:
    (home() / "catalogue").write_text("a file where the folder should be")
    assert len(hub_search("tiny").cards) == 1


def test_the_cache_is_bounded(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_fetch, "_MOST_FILES", 3)
    for word in "abcdef":
        hub_search(word)
    assert len(list((home() / "catalogue").iterdir())) == 3


# Registries


def test_a_registry_tells_exact_bytes_before_a_pull(
    registry: RegistryServer, host: str, tiny_gguf: Path
) -> None:
    blobs = registry.add("library/tiny:latest", tiny_gguf.read_bytes(), template="{{ .Prompt }}")
    card = registry_card(f"{host}/library/tiny")
    assert card.name == f"{host}/library/tiny:latest" and card.download == sum(blobs.values())
    assert card.origins == ("registry",) and card.digest and card.fetched_at
    assert card.parameters is None and card.context is None and card.architecture is None


def test_a_header_is_read_from_afar_without_the_weights(
    registry: RegistryServer, host: str, tmp_path: Path
) -> None:
    path = tmp_path / "big.gguf"
    gguf = write_tiny_llama(path, width=512, layers=4).read_bytes()
    blobs = registry.add("library/big:latest", gguf)
    card = remote_card(f"{host}/library/big")
    ((near,), _) = on_disk([path])
    assert card.network and near.network and card.network == near.network
    assert card.parameters == near.parameters and card.context == near.context == 512
    assert network_for(card) == near.network and card.download == sum(blobs.values())
    assert sum(sent for _, _, sent in registry.asked) < len(gguf) / 4
    assert Catalogue([card]).search(Filters(text="fits in 8 GB")).count == 1


def test_what_was_read_once_is_told_without_a_network(
    registry: RegistryServer, host: str, tiny_gguf: Path
) -> None:
    registry.add("library/tiny:latest", tiny_gguf.read_bytes())
    name = f"{host}/library/tiny"
    first = remote_card(name)
    registry.statuses = [500] * 100
    registry.blobs.clear()
    assert remote_card(name) == first
    age_cache(2)
    later = remote_card(name)
    assert later.network == first.network and "2 days ago" in later.notes[0]


def test_a_damaged_header_is_read_anew(
    registry: RegistryServer, host: str, tiny_gguf: Path
) -> None:
    registry.add("library/tiny:latest", tiny_gguf.read_bytes())
    first = remote_card(f"{host}/library/tiny")
    for path in (home() / "catalogue").iterdir():
        record = json.loads(path.read_text())
        if record["url"].startswith("header"):
            path.write_text(json.dumps(record | {"body": record["body"].replace("shape", "x")}))
    asked = len(registry.asked)
    assert remote_card(f"{host}/library/tiny") == first and len(registry.asked) > asked


def test_the_hub_tells_a_file_by_its_quantisation(
    registry: RegistryServer, host: str, tiny_gguf: Path
) -> None:
    registry.files = {"tiny-Q4_K_M.gguf": tiny_gguf.read_bytes(), "tiny-Q8_0.gguf": b"GGUF"}
    card = remote_card("hf.co/someone/tiny:Q4_K_M")
    assert card.hf_repo == "someone/tiny" and card.publisher == "someone"
    assert card.download == tiny_gguf.stat().st_size and card.network
    assert [(one.quantisation, one.bytes) for one in card.variants] == [
        ("Q4_K_M", card.download),
        ("Q8_0", 4),
    ]
    with pytest.raises(GGUFError):
        remote_card("hf.co/someone/tiny:Q8_0")
    with pytest.raises(EngineError, match="no GGUF file fits"):
        remote_card("hf.co/someone/tiny:Q2_K")
    with pytest.raises(InvalidRequest, match="remote_card"):
        registry_card("hf.co/someone/tiny")


def test_what_a_registry_does_wrong_is_told(registry: RegistryServer, host: str) -> None:
    registry.add("library/bad:latest", b"GGUF" + b"\xff" * 100)
    registry.manifests["library/odd:latest"] = b"<html>"
    with pytest.raises(ModelNotFound, match="nope"):
        registry_card(f"{host}/library/nope")
    with pytest.raises(EngineError, match="manifest"):
        registry_card(f"{host}/library/odd")
    with pytest.raises(GGUFError, match="not a usable GGUF"):
        remote_card(f"{host}/library/bad")
    registry.ranges = False
    with pytest.raises(GGUFError, match="ranges"):
        remote_card(f"{host}/library/bad")


def test_blobs_may_lie_elsewhere_as_their_digest_proves_them(
    registry: RegistryServer, host: str, tiny_gguf: Path
) -> None:
    other = RegistryServer()
    registry.add("library/tiny:latest", tiny_gguf.read_bytes())
    other.blobs = dict(registry.blobs)
    with serving(other.app) as url:
        registry.elsewhere = url
        assert remote_card(f"{host}/library/tiny").parameters
        assert other.asked
        other.blobs = dict.fromkeys(other.blobs, b'{"file_type": "lie"}')
        for path in (home() / "catalogue").iterdir():
            path.unlink()
        assert registry_card(f"{host}/library/tiny").quantisation is None


@pytest.mark.parametrize("name", ["", "a b", "../x", "x" * 5000, "http://", "a/b/c/d/e", "\x00"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    for ask in (registry_card, remote_card):
        with pytest.raises(InvalidRequest, match="no name of a model"):
            ask(name)


def test_a_plain_address_of_another_machine_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="insecure"):
        registry_card("http://registry.example/library/x")


def test_a_registry_that_is_silent_is_left_in_time(scripted: ScriptedServer) -> None:
    scripted.says(silence)
    start = time.monotonic()
    with pytest.raises(EngineUnreachable):
        registry_card(scripted.url.removeprefix("http://") + "/library/x")
    assert time.monotonic() - start < 60  # and not for ever
