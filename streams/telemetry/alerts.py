"""Prometheus alert rules for a topology: pure, from names and thresholds to the rules' document."""

from collections.abc import Iterable
from typing import Any


def alert_rules(routes: Iterable[str], *, lag: int, dead_letters_per_minute: int) -> dict[str, Any]:
    """Rules file of Prometheus, as a dict to write as YAML.

    Args:
        routes: names of the routes with `alert_on_failure`.
        lag: records that a partition may be behind (topology `alerts.lag`).
        dead_letters_per_minute: letters a minute that a stage may make (`alerts.dead_letters_per_minute`).
    """
    rules = [
        _rule("HeadraceLag", f"headrace_lag_records > {lag}", "5m", "{{ $labels.stage }} is behind"),
        _rule(
            "HeadraceDeadLetters",
            f"sum by (stage) (rate(headrace_dead_letters_total[5m])) * 60 > {dead_letters_per_minute}",
            "1m",
            "{{ $labels.stage }} makes dead letters",
        ),
        *(
            _rule(
                "HeadraceRouteFailure",
                f"increase(headrace_route_failures_total{{route={_quoted(route)}}}[5m]) > 0",
                "0m",
                f"route {route} fails",
            )
            for route in sorted(set(routes))
        ),
    ]
    return {"groups": [{"name": "headrace", "rules": rules}]}


def _rule(name: str, expression: str, lasting: str, summary: str) -> dict[str, Any]:
    return {"alert": name, "expr": expression, "for": lasting, "annotations": {"summary": summary}}


def _quoted(text: str) -> str:
    """PromQL string literal."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
