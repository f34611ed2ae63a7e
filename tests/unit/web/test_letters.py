import asyncio
from collections.abc import Coroutine
from typing import Any
from urllib.parse import quote

import pytest

from streams.deadletters.letter import letter_of
from streams.web import letter_reader
from tests.unit.deadletters.letters import letter_record
from tests.unit.web.letter_desk import MemoryDesk, index_of, letters
from tests.unit.web.memory import ALL, KNOWN, PARTITIONS, get, post, workers

SHARES = ({"deadletters": [0, 1]}, {"deadletters": [2, 3]})
ROLES = {"see": "viewer", "do": "operator"}
OPERATOR = {"Authorization": "Bearer do"}
ID = "router:orders.inbound:3:{}"


def run(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(scenario, 30))


def offsets(page: Any) -> list[int]:
    return [item["offset"] for item in page["items"]]


def test_letters_of_all_workers_are_listed_in_order_page_by_page() -> None:
    async def scenario() -> None:
        async with workers(index_of(letters(25)), *SHARES, known=ALL, desk=MemoryDesk()) as (worker, _):
            seen: list[int] = []
            after = ""
            while True:
                page = (await get(f"{worker.url}/api/deadletters?limit=10{after}")).json
                seen += offsets(page)
                if page["next"] is None:
                    break
                after = f"&after={quote(page['next'])}"
            assert seen == list(range(25))
            held = (await get(f"{worker.url}/api/deadletters?category=TRANSIENT&state=open&key=k1")).json
            assert offsets(held) == [1, 22]

    run(scenario())


def test_a_request_looks_at_so_many_letters_and_says_where_to_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(letter_reader, "MOST_LOOKED_AT", 6)

    async def scenario() -> None:
        async with workers(index_of(letters(10)), *SHARES, known=ALL, desk=MemoryDesk()) as (worker, _):
            page = (await get(f"{worker.url}/api/deadletters?key=k6")).json
            assert (page["items"], page["next"]) == ([], ID.format(5))
            assert offsets((await get(f"{worker.url}/api/deadletters?key=k6&after={page['next']}")).json) == [6]

    run(scenario())


@pytest.mark.parametrize(
    "query", ["category=odd", "since=then", "limit=0", "after=x", "colour=red", "state=gone", "key=base64:!"]
)
def test_what_cannot_be_asked_is_refused(query: str) -> None:
    async def scenario() -> None:
        async with workers(index_of([]), *SHARES, known=ALL, desk=MemoryDesk()) as (worker, _):
            assert (await get(f"{worker.url}/api/deadletters?{query}")).code == "invalid_parameter"

    run(scenario())


def test_one_letter_has_headers_payload_and_stack_trace() -> None:
    async def scenario() -> None:
        desk = MemoryDesk()
        async with workers(index_of(letters(3)), *SHARES, known=ALL, desk=desk) as (worker, _):
            letter = (await get(f"{worker.url}/api/deadletters/{ID.format(1)}")).json
            assert (letter["exception"], letter["payload"]["order_id"]) == ("TransientError", "ORD-1")
            assert letter["headers"][0] == {"name": "ce_id", "value": "<b>1</b>"}
            assert letter["stacktrace"].startswith("Traceback")
            desk.gone.add(letter["letter"])
            gone = (await get(f"{worker.url}/api/deadletters/{quote(ID.format(1), safe='')}")).json
            assert "not there any more" in gone["refusal"]
            for strange in (ID.format(99), "nonsense", "a:b:c:d"):
                assert (await get(f"{worker.url}/api/deadletters/{strange}")).code == "no_such_letter"
            desk.down = True
            assert (await get(f"{worker.url}/api/deadletters/{ID.format(1)}")).status == 503

    run(scenario())


def test_an_operator_redrives_letters_by_id_in_the_order_of_their_offsets() -> None:
    async def scenario() -> None:
        desk = MemoryDesk()
        async with workers(index_of(letters(5)), *SHARES, roles=ROLES, known=ALL, desk=desk) as (worker, _):
            body = {"ids": [ID.format(n) for n in (2, 0, 3, 9)]}
            answer = await post(f"{worker.url}/api/deadletters/redrive", body, OPERATOR)
            assert answer.status == 202
            assert answer.json["requested"] == [ID.format(0), ID.format(2)]
            assert {each["id"]: each["reason"] for each in answer.json["refused"]} == {
                ID.format(3): "it is redriven",
                ID.format(9): "there is no such letter",
            }
            assert [(each.action, each.letter.offset) for each in desk.asked] == [("redrive", 0), ("redrive", 2)]
            assert [str(each.position) for each in desk.asked] == ["headrace.router.dlq/1@0", "headrace.router.dlq/1@2"]

    run(scenario())


def test_an_operator_discards_what_filters_mean() -> None:
    async def scenario() -> None:
        desk = MemoryDesk()
        async with workers(index_of(letters(12)), *SHARES, roles=ROLES, known=ALL, desk=desk) as (worker, _):
            body = {"filters": {"category": "UNKNOWN"}}
            answer = await post(f"{worker.url}/api/deadletters/discard", body, OPERATOR)
            assert answer.json["requested"] == [ID.format(n) for n in (0, 6, 9)]
            assert answer.json["next"] is None
            assert {each.action for each in desk.asked} == {"discard"}

    run(scenario())


def test_who_may_not_change_anything_does_not() -> None:
    async def scenario() -> None:
        desk = MemoryDesk()
        body = {"ids": [ID.format(0)]}
        async with workers(index_of(letters(1)), *SHARES, roles=ROLES, known=ALL, desk=desk) as (worker, _):
            url = f"{worker.url}/api/deadletters/redrive"
            assert (await post(url, body)).status == 401
            assert (await post(url, body, {"Authorization": "Bearer see"})).status == 403
        async with workers(index_of(letters(1)), *SHARES, known=ALL, desk=desk) as (worker, _):
            refused = await post(f"{worker.url}/api/deadletters/redrive", body)
            assert (refused.status, "HEADRACE_WEB_TOKENS" in refused.text) == (403, True)
            assert (await get(f"{worker.url}/api/deadletters")).status == 200
        assert desk.asked == []

    run(scenario())


@pytest.mark.parametrize(
    "body",
    [{}, {"ids": [], "filters": {}}, {"ids": ["x"]}, {"ids": "x"}, {"filters": {"colour": "red"}}, {"all": True}, []],
)
def test_a_body_that_asks_for_nothing_sensible_is_refused(body: Any) -> None:
    async def scenario() -> None:
        desk = MemoryDesk()
        async with workers(index_of(letters(1)), *SHARES, roles=ROLES, known=ALL, desk=desk) as (worker, _):
            answer = await post(f"{worker.url}/api/deadletters/discard", body, OPERATOR)
            assert (answer.code, "\n" in answer.text) == ("invalid_parameter", False)
        assert desk.asked == []

    run(scenario())


def test_a_topology_without_the_stage_has_no_letters() -> None:
    async def scenario() -> None:
        async with workers(index_of([]), {"orders": range(PARTITIONS)}, known=KNOWN) as (worker,):
            assert (await get(f"{worker.url}/api/deadletters")).code == "no_such_table"

    run(scenario())


def test_pages_show_groups_and_letters_and_nothing_from_outside_is_markup() -> None:
    async def scenario() -> None:
        evil = letter_of(letter_record(key=b"<script>", offset=77))
        async with workers(index_of([*letters(9), evil]), *SHARES, known=ALL, desk=MemoryDesk()) as (worker, _):
            groups = (await get(f"{worker.url}/deadletters")).text
            for expected in ("TransientError", "&lt;script&gt;", ID.format(0), "category=INVALID_FORMAT"):
                assert expected in groups
            assert "TransientError" not in (await get(f"{worker.url}/deadletters?category=UNKNOWN")).text
            letter = (await get(f"{worker.url}/deadletters/{ID.format(0)}")).text
            for expected in ("&lt;b&gt;1", "Traceback &lt;here", "ORD-1", "Redrive", "Discard"):
                assert expected in letter
            assert "<form" not in (await get(f"{worker.url}/deadletters/{ID.format(3)}")).text, "it is redriven"
            for text in (groups, letter):
                assert "<script" not in text

    run(scenario())


def test_a_page_says_why_it_has_no_letters() -> None:
    async def scenario() -> None:
        async with workers(index_of([]), {"deadletters": [0]}, known=ALL, desk=MemoryDesk()) as (worker,):
            assert "no worker owns deadletters.letters" in (await get(f"{worker.url}/deadletters")).text

    run(scenario())


def test_a_form_takes_a_token_and_a_confirmation_and_the_letter_that_was_shown() -> None:
    async def scenario() -> None:
        desk = MemoryDesk()
        async with workers(index_of(letters(4)), *SHARES, roles=ROLES, known=ALL, desk=desk) as (worker, _):
            url = f"{worker.url}/deadletters/{ID.format(2)}"
            form = "action=redrive&confirm=yes&letter=" + quote("headrace.router.dlq/1@2", safe="")
            assert (await post(url, form)).status == 401
            assert (await post(url, form + "&token=see")).status == 403
            assert (await post(url, form.replace("confirm=yes", "confirm=no") + "&token=do")).status == 400
            assert (await post(url, form.replace("redrive", "told") + "&token=do")).status == 400
            assert (await post(url, "&&token=do")).status == 400
            assert "failed again" in (await post(url, form.replace("1%402", "1%401") + "&token=do")).text
            assert desk.asked == []
            assert "asked for" in (await post(url, form + "&token=do")).text
            assert [(each.action, each.letter.offset) for each in desk.asked] == [("redrive", 2)]

    run(scenario())
