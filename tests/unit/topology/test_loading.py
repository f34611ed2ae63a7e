"""What a file means, and that every mistake in it is said at once, each at its place."""

import time
from decimal import Decimal
from pathlib import Path

import pytest

from streams.errors import FindingsFound, UsageError
from streams.topology.loading import load_topology, parse_topology
from streams.topology.model import AllOf, AnyOf, Comparison, Destination, Not, Topology
from streams.topology.tree import LARGEST_FILE_BYTES

HEAD = "version: 1\ntopics: {in: {partitions: 4}, out: {partitions: 2}}\n"


def parse(text: str, **environment: str) -> Topology:
    return parse_topology(text, "t.yaml", environment)


def mistakes(text: str, **environment: str) -> list[str]:
    with pytest.raises(FindingsFound) as caught:
        parse(text, **environment)
    lines = str(caught.value).splitlines()
    assert all(line.startswith("t.yaml:") for line in lines)
    return [line.removeprefix("t.yaml:") for line in lines]


def router(conditions: str = "[]", destinations: str = "[{topic: out}]", **keys: str) -> str:
    more = "".join(f"    {key}: {value}\n" for key, value in keys.items())
    return (
        f"{HEAD}routers:\n  - source: in\n{more}    routes:\n      - name: all\n"
        f"        conditions: {conditions}\n        destinations: {destinations}\n"
    )


def condition(text: str) -> object:
    loaded = parse(router(f"[{text}]")).routers[0].routes[0].conditions
    assert isinstance(loaded, AllOf)
    return loaded.conditions[0]


def test_the_example_domains_file_is_read() -> None:
    topology = load_topology(Path(__file__).parents[3] / "topology.yaml")
    route = topology.routers[0].routes[0]
    assert route.name == "critical_orders"
    assert route.destinations == (
        Destination(topic="express-processing", kind="queue", dlq_after_retries=3),
        Destination(topic="order-events", subscription="fraud-detection"),
    )
    assert topology.topics["order-events"].retention == 30 * 24 * 3600 * 1000
    assert topology.routers[0].stage == "router"
    assert topology.failures.dlq_partitions == 4


def test_conditions_nest() -> None:
    loaded = condition(
        "{any: [{not: {field: key, operator: exists, value: true}}, "
        "[{field: headers.a.b, operator: in, value: [1, two]}, {field: 'payload.l[*].m', operator: between, "
        "value: [0.1, 2]}]]}"
    )
    assert loaded == AnyOf(
        conditions=(
            Not(condition=Comparison(field="key", operator="exists", value=True)),
            AllOf(
                conditions=(
                    Comparison(field="headers.a.b", operator="in", value=(1, "two")),
                    Comparison(field="payload.l[*].m", operator="between", value=(Decimal("0.1"), 2)),
                )
            ),
        )
    )


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("1000", 1000),
        ("1000.50", Decimal("1000.50")),
        ("12345678901234567.89", Decimal("12345678901234567.89")),
        ("'1000'", "1000"),
        ("no", "no"),
        ("true", True),
        ("2024-01-01", "2024-01-01"),
        ("12:30", "12:30"),
        ("99999999999999999999", Decimal(99999999999999999999)),
    ],
)
def test_a_value_is_what_it_looks_like(written: str, read: object) -> None:
    loaded = condition(f"{{field: key, operator: equals, value: {written}}}")
    assert isinstance(loaded, Comparison)
    assert loaded.value == read
    assert type(loaded.value) is type(read)


@pytest.mark.parametrize(("written", "ms"), [("500ms", 500), ("30s", 30_000), ("5m", 300_000), ("7d", 604_800_000)])
def test_durations_become_milliseconds(written: str, ms: int) -> None:
    assert parse(f"version: 1\ntopics: {{a: {{partitions: 1, retention: {written}}}}}").topics["a"].retention == ms


@pytest.mark.parametrize("written", ["7", "7 d", "d", "-1s", "0s", "1w", "1.5h", "[]", "''", "1e3s"])
def test_other_durations_are_refused(written: str) -> None:
    (line,) = mistakes(f"version: 1\ntopics: {{a: {{partitions: 1, retention: {written}}}}}")
    assert line.startswith("2:40: expected a duration")


def test_every_mistake_is_said_at_once_with_its_position() -> None:
    assert mistakes(
        "version: 1\n"
        "topic: {}\n"
        "topics:\n"
        "  a: {partitons: 4}\n"
        "  b: {partitions: four, contracts: order}\n"
        "  b: {partitions: 0}\n"
        "routers:\n"
        "  - source: a\n"
        "    mode: frist\n"
        "    routes:\n"
        "      - {name: x, destinations: [{queue: a, topic: b}]}\n"
        "      - {name: x, destinations: []}\n"
    ) == [
        "2:1: unknown key 'topic' in a topology; it would be ignored; did you mean 'topics'?",
        "4:3: 'partitions' is missing; a topic needs it; add `partitions: ...`",
        "4:7: unknown key 'partitons' in a topic; it would be ignored; did you mean 'partitions'?",
        "5:19: expected a whole number from 1 to 10000, got 'four'; write such a number, without quotes",
        "5:36: expected a list, got 'order'; write [...] or one `- ` line each",
        "6:3: key 'b' again; line 5 has it; only one would count; keep one",
        "9:11: expected one of first, all, got 'frist'; did you mean 'first'?",
        "11:34: not exactly one of queue, topic; a destination is one of these; keep or add one",
        "12:16: name 'x' again; line 11 has it; each must be unique; rename one",
        "12:33: empty list; without an item it does nothing; add one or remove it all",
    ]


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("{field: mesage_type, operator: equals, value: x}", "did you mean 'message_type'?"),
        ("{field: payload, operator: equals, value: x}", "expected a field"),
        ("{field: key, operator: equal, value: x}", "did you mean 'equals'?"),
        ("{field: key, operator: equals}", "'value' is missing"),
        ("{field: key, operator: equals, value: null}", "got nothing"),
        ("{field: key, operator: equals, value: [a]}", "got a list"),
        ("{field: key, operator: between, value: [3, 1]}", "the low end is above the high end"),
        ("{field: key, operator: between, value: [1]}", "got a list of 1"),
        ("{field: key, operator: between, value: [a, 1]}", "a number and a text"),
        ("{field: key, operator: in, value: []}", "got an empty list"),
        ("{field: key, operator: exists, value: yes}", "expected true or false, got 'yes'"),
        ("{field: key, operator: greater_than, value: true}", "it has no order"),
        ("{field: key, operator: matches, value: 5}", "put it in quotes"),
        ("{field: key, operator: equals, value: x, valeu: y}", "did you mean 'value'?"),
        ("{any: []}", "it would never be true"),
        ("{all: {}}", "expected a list under 'all'"),
        ("{not: {field: key, operator: exists, value: true}, any: []}", "beside other keys"),
        ("nonsense", "expected a condition, got 'nonsense'"),
        ("{}", "'field' is missing"),
    ],
)
def test_a_wrong_condition_is_refused(written: str, said: str) -> None:
    assert any(said in line and line.startswith("7:") for line in mistakes(router(f"[{written}]")))


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ("version: 2", "expected 1, got 2"),
        ("patterns: [{name: p, kind: spliter}]", "did you mean 'splitter'?"),
        ("patterns: [{name: p}]", "'kind' is missing"),
        ("calls: [{name: a b}]", "expected a name of letters"),
        ("aggregates: [{name: a, class: nope, id: payload.x, partitions: 1}]", "module:Class"),
        ("failures: {defaults: {order: keys}}", "did you mean 'key'?"),
        ("failures: {redrive: {automatic: [TRANSIENTS]}}", "did you mean 'TRANSIENT'?"),
        ("failures: {defaults: {backoff: {jitter: 2}}}", "expected a number from 0 to 1, got 2"),
        ("stages: {orders: {group_protocol: new}}", "expected one of classic, consumer"),
        ("mappings: [{from: a, to: b, fields: {x: {from: y, cast: number}}}]", "expected one of string, int"),
        ("alerts: []", "expected alerts as a mapping, got a list"),
        ("routers:", "expected a list, got nothing"),
    ],
)
def test_every_section_is_checked(section: str, said: str) -> None:
    assert any(said in line for line in mistakes(f"{'' if 'version' in section else 'version: 1'}\n{section}"))


def test_variables_are_filled_in() -> None:
    text = (
        "version: 1\ncalls: [{name: a, url: '${URL:-http://here}/x', on: E, result: {succeeds_with: A, fails_with: B}}]"
    )
    assert parse(text).calls[0].url == "http://here/x"
    assert parse(text, URL="https://there").calls[0].url == "https://there/x"
    assert "${URL} is not set" in mistakes(text.replace(":-http://here", ""))[0]
    assert "${ without a name" in mistakes(text.replace("URL:-", "-"))[0]


def test_a_dollar_may_be_meant() -> None:
    loaded = condition("{field: key, operator: equals, value: 'a$${B}$c'}")
    assert isinstance(loaded, Comparison)
    assert loaded.value == "a${B}$c"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "1:1: empty"),
        ("# nothing", "1:1: empty"),
        ("- 1", "1:1: expected a topology as a mapping, got a list"),
        ("a: b: c", "1:5: not YAML"),
        ("version: 1\n---\nversion: 1", "2:1: a second document"),
        ("version: !!python/object/apply:os.system [x]", "1:10: tag"),
        ("version: 1\nx: \x00", "2:4: character"),
        ("version: 1\nx: \ud800", "2:4: character"),
        ("? [a]\n: 1", "1:3: a key that is no text"),
        ("version: 1\n'': 1", "2:1: unknown key ''"),
    ],
)
def test_what_is_no_topology_is_refused_in_one_line(text: str, said: str) -> None:
    assert [line for line in mistakes(text) if line.startswith(said)]


def test_bytes_that_are_not_utf8_are_refused_where_they_stand() -> None:
    with pytest.raises(FindingsFound, match=r"^t.yaml:2:5: not UTF-8"):
        parse_topology("version: 1\nx: ä".encode() + b"\xff", "t.yaml", {})


LAUGHS = "a: &a [x, x]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join([f'*{chr(97 + i)}'] * 9)}]\n" for i in range(9)
)


@pytest.mark.parametrize(
    "bomb",
    [
        LAUGHS,
        "a: &a [*a]",
        "[" * 100_000,
        "a: " + "{a: " * 5_000,
        "- " * 100_000,
        "".join(f"{' ' * i}a:\n" for i in range(2_000)),
        "x: [" + "a," * 2_000_000 + "]",
        "x" * (LARGEST_FILE_BYTES + 1),
        "x: " + "9" * 1_000_000,
        "".join(f"k{i}: 1\n" for i in range(100_000)),
    ],
    ids=["laughs", "itself", "lists", "mappings", "dashes", "indents", "values", "bytes", "digits", "keys"],
)
def test_a_bomb_is_refused_quickly(bomb: str) -> None:
    started = time.process_time()
    lines = mistakes(bomb)
    assert time.process_time() - started < 5
    assert len(lines) <= 1001
    assert all(len(line) < 300 for line in lines)


def test_a_thousand_routes_load_in_about_a_second() -> None:
    route = """
      - name: r{i}
        conditions:
          - {{field: message_type, operator: equals, value: order}}
          - {{field: payload.total_amount, operator: greater_than, value: {i}}}
        destinations: [{{queue: out, dlq_after_retries: 3}}, {{topic: in, subscription: s{i}}}]"""
    text = f"{HEAD}routers:\n  - source: in\n    routes:" + "".join(route.format(i=i) for i in range(1000))
    started = time.process_time()
    assert len(parse(text).routers[0].routes) == 1000
    assert time.process_time() - started < 1.5


@pytest.mark.parametrize("path", ["/nonexistent/topology.yaml", "/", "a\x00b"])
def test_a_file_that_cannot_be_read_is_a_usage_error(path: str) -> None:
    with pytest.raises(UsageError, match=r"^[^\n]*--topology$"):
        load_topology(Path(path))
