"""Conditions of topology.yaml as closures: evaluated in written order, reading only what decides.

A condition is compiled once for each schema id of a topic. The type of the message is known then, so conditions on
`message_type` cost nothing later: they become True or False here, and routes that can never match a type are not
tried for it. What may raise (a payload field of damaged Avro) is neither moved nor dropped.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Protocol

from streams.messages.headers import parse_time
from streams.messages.message import Record
from streams.messages.paths import MISSING
from streams.routing.fields import Field, parse_field
from streams.routing.operators import ValueTest, value_test
from streams.routing.texts import header_test, text_test
from streams.topology.conditions import AllOf, AnyOf, Comparison, Condition, Not

Headers = Mapping[str, bytes | None]
FieldReader = Callable[[bytes], object]
Test = Callable[[Headers, Record, bytes], bool]
# A condition that is known beforehand is its own answer.
Compiled = Test | bool


class MessageType(Protocol):
    """What conditions need to know of the messages under one schema id."""

    @property
    def name(self) -> str:
        """Short name of the contract: the value of `message_type`."""

    def reader(self, path: str) -> FieldReader | None:
        """Reader of a payload field; None when this type has no such field."""


def compile_condition(condition: Condition, message_type: MessageType) -> Compiled:
    """Closure that tells whether a message of `message_type` satisfies `condition`.

    It takes the headers (the last of each name), the record and its value, which begins with a sound framing.

    Raises:
        ValueError: an operand or field is wrong in a way that lint reports.
    """
    if isinstance(condition, AllOf):
        return _every(compile_condition(each, message_type) for each in condition.conditions)
    if isinstance(condition, AnyOf):
        return _any(compile_condition(each, message_type) for each in condition.conditions)
    if isinstance(condition, Not):
        return _negation(compile_condition(condition.condition, message_type))
    return _compile_comparison(condition, message_type)


def conjuncts(condition: Condition) -> Iterator[Condition]:
    """Conditions that must all hold, in written order, with nested lists of `all` opened."""
    if isinstance(condition, AllOf):
        for each in condition.conditions:
            yield from conjuncts(each)
    else:
        yield condition


def comparisons(condition: Condition) -> Iterator[Comparison]:
    """Every comparison in a condition, in written order."""
    if isinstance(condition, AllOf | AnyOf):
        for each in condition.conditions:
            yield from comparisons(each)
    elif isinstance(condition, Not):
        yield from comparisons(condition.condition)
    else:
        yield condition


def payload_paths(condition: Condition) -> Iterator[str]:
    """Payload field of each comparison, repeated where several read the same one."""
    for comparison in comparisons(condition):
        found = parse_field(comparison.field)
        if found is not None and found.place == "payload":
            yield found.name


def _compile_comparison(comparison: Comparison, message_type: MessageType) -> Compiled:
    found = parse_field(comparison.field)
    if found is None:
        raise ValueError(f"{comparison.field} is no field of a message")
    if found.place == "type":
        return text_test(comparison.operator, comparison.value)(message_type.name.encode())
    if found.place == "payload":
        return _payload_test(comparison, found.name, message_type.reader(found.name))
    if found.place == "time":
        test = value_test(comparison.operator, comparison.value)
        return lambda headers, _record, _value: test(parse_time(headers["ce_time"] or b""))
    if found.place == "key":
        test_key = text_test(comparison.operator, comparison.value)
        return lambda _headers, record, _value: test_key(record.key())
    return _header_comparison(comparison, found)


def _header_comparison(comparison: Comparison, found: Field) -> Test:
    name, operand = found.name, comparison.value
    if comparison.operator == "equals" and isinstance(operand, str):
        raw = operand.encode()
        return lambda headers, _record, _value: headers.get(name) == raw
    compile_test = header_test if found.place == "header" else text_test
    test = compile_test(comparison.operator, operand)
    return lambda headers, _record, _value: test(headers.get(name))


def _payload_test(comparison: Comparison, path: str, read: FieldReader | None) -> Compiled:
    test = value_test(comparison.operator, comparison.value)
    if read is None:
        return test(None)
    if "[*]" not in path:
        return lambda _headers, _record, value: test(read(value))

    return lambda _headers, _record, value: _any_of(read(value), test)


def _any_of(elements: object, test: ValueTest) -> bool:
    """Whether `test` holds for one of a `[*]`'s elements; where there is none, the field is missing."""
    return any(map(test, elements)) if isinstance(elements, list) and elements else test(MISSING)


def _every(conditions: Iterable[Compiled]) -> Compiled:
    tests: list[Test] = []
    for each in conditions:
        if each is False:
            if not tests:
                return False
            tests.append(_never)  # those before it may still raise
            break
        if each is not True:
            tests.append(each)
    return _joined(tests, until=False)


def _any(conditions: Iterable[Compiled]) -> Compiled:
    tests: list[Test] = []
    for each in conditions:
        if each is True:
            if not tests:
                return True
            tests.append(always)
            break
        if each is not False:
            tests.append(each)
    return _joined(tests, until=True)


def _joined(tests: list[Test], *, until: bool) -> Compiled:
    """Test that asks each in order until one answers `until`."""
    if not tests:
        return not until
    if len(tests) == 1:
        return tests[0]
    if len(tests) == len(("first", "second")):
        first, second = tests
        if until:
            return lambda headers, record, value: first(headers, record, value) or second(headers, record, value)
        return lambda headers, record, value: first(headers, record, value) and second(headers, record, value)

    def joined(headers: Headers, record: Record, value: bytes) -> bool:
        for test in tests:
            if test(headers, record, value) is until:
                return until
        return not until

    return joined


def _negation(condition: Compiled) -> Compiled:
    if isinstance(condition, bool):
        return not condition
    return lambda headers, record, value: not condition(headers, record, value)


def _never(_headers: Headers, _record: Record, _value: bytes) -> bool:
    return False


def always(_headers: Headers, _record: Record, _value: bytes) -> bool:
    """Test of a condition that holds for every message."""
    return True
