from streams.telemetry.alerts import alert_rules


def expressions(*routes: str) -> list[str]:
    rules = alert_rules(routes, lag=10_000, dead_letters_per_minute=7)["groups"][0]["rules"]
    return [rule["expr"] for rule in rules]


def test_thresholds_come_from_the_topology() -> None:
    assert "headrace_lag_records > 10000" in expressions()
    assert any(expression.endswith("* 60 > 7") for expression in expressions())


def test_each_watched_route_has_one_rule() -> None:
    failures = [text for text in expressions("critical", "critical", "plain") if "route_failures" in text]
    assert len(failures) == 2


def test_a_route_name_cannot_break_out_of_its_expression() -> None:
    assert r'{route="a\"} or vector(1)\\"}' in expressions('a"} or vector(1)\\')[-1]
