"""The OpenAPI 3.1 document, made from the models of the bodies: what it says is what is sent. Pure."""

from collections.abc import Mapping
from typing import Any

from pydantic.json_schema import models_json_schema

from streams.deadletters.filters import FILTERS
from streams.web import bodies
from streams.web.hop import WAIT_SECONDS
from streams.web.parameters import DEFAULT_LIMIT, MAX_KEY_BYTES, MAX_LIMIT
from streams.web.positions import MIN_POSITION

MODELS = (
    bodies.Asking,
    bodies.DeadLetterDetail,
    bodies.DeadLetterList,
    bodies.Error,
    bodies.Liveness,
    bodies.Readiness,
    bodies.Requested,
    bodies.StageList,
    bodies.TableList,
    bodies.Value,
    bodies.ValueList,
)
STATUSES = {
    400: "The request is malformed.",
    401: "No valid token.",
    403: "The token's role is too low, or a foreign Host header came to a server without tokens.",
    404: "No such table, row or letter.",
    409: "Several partitions of a table by source have a row of this key.",
    503: "Nobody can answer truly now; try again after Retry-After seconds.",
}
FILTER_TEXTS = {
    "category": "Only letters of this category.",
    "exception": "Only letters of this class of error.",
    "stage": "Only letters of this stage.",
    "route": "Only letters of this route.",
    "key": "Only letters of this key, written as keys of tables are.",
    "state": "Only letters in this state; `open` for all that may be redriven or discarded.",
    "since": "Only letters that failed last at this time or later, RFC 3339.",
    "until": "Only letters that failed last before this time, RFC 3339.",
}
Document = dict[str, Any]
OPEN: list[Document] = []
TOKEN: list[Document] = [{}, {"token": []}]  # none is needed where none are set, on loopback
OPERATOR: list[Document] = [{"token": []}]


def document(version: str) -> Document:
    """The whole document, for this `version` of Headrace."""
    _names, schemas = models_json_schema(
        [(model, "serialization") for model in MODELS], ref_template="#/components/schemas/{model}"
    )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Headrace",
            "version": version,
            "description": "Every worker answers for all: what it does not hold it asks the owner for, once.",
        },
        "paths": {**_paths(), **_letters()},
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _paths() -> Document:
    table, key = (
        _path_parameter("table", "<stage>.<table>"),
        _path_parameter("key", f"At most {MAX_KEY_BYTES} bytes."),
    )
    rows = (
        _query_parameter("prefix", {"type": "string"}, "Only keys that begin so."),
        _query_parameter("after", {"type": "string"}, "Only keys greater than this: `next` of the page before."),
        _query_parameter(
            "limit",
            {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
            "Rows a page; rows of one key from several partitions are not parted.",
        ),
    )
    position = _header_parameter(
        MIN_POSITION,
        f"Waits at most {WAIT_SECONDS:g} s until the table reflects the record at topic/partition=offset, of a source "
        "of its stage, else 503; several separated by commas.",
    )
    html = {"200": _text("text/html"), **_errors((400, 401, 403))}
    return {
        "/api/stages": _get("All stages and the workers that run them.", "StageList", (401, 403)),
        "/api/tables": _get("All tables.", "TableList", (401, 403)),
        "/api/tables/{table}": _get("Rows.", "ValueList", (400, 401, 403, 404, 503), (table, *rows, position)),
        "/api/tables/{table}/{key}": _get("One row.", "Value", tuple(STATUSES), (table, key, position)),
        "/api/openapi.json": _get("This document.", None, (401, 403)),
        "/livez": _open("Whether the process lives.", "Liveness"),
        "/readyz": _open("Whether every stage of this worker runs with its tables restored.", "Readiness"),
        "/metrics": _operation("Prometheus metrics.", OPEN, {"200": _text("text/plain")}),
        "/": _operation("A page of stages and tables for people.", TOKEN, html),
    }


def _letters() -> Document:
    page = (
        _query_parameter("after", {"type": "string"}, "Only ids after this: `next` of the page before."),
        _query_parameter(
            "limit",
            {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
            "Letters a page at most; fewer where those that are meant are far between.",
        ),
    )
    meant = tuple(_query_parameter(name, {"type": "string"}, FILTER_TEXTS[name]) for name in FILTERS)
    letter = _path_parameter("id", "<stage>:<topic>:<partition>:<offset>")
    found = (400, 401, 403, 404, 503)
    html = {"200": _text("text/html"), **_errors(found)}
    return {
        "/api/deadletters": _get("Dead letters.", "DeadLetterList", found, (*meant, *page)),
        "/api/deadletters/{id}": _get("One dead letter.", "DeadLetterDetail", found, (letter,)),
        "/api/deadletters/redrive": _post("Send letters back to their stages."),
        "/api/deadletters/discard": _post("Give letters up."),
        "/deadletters": _operation("A page of dead letters for people.", TOKEN, html, meant),
        "/deadletters/{id}": {
            **_operation("A page of one dead letter.", TOKEN, html, (letter,)),
            "post": {"summary": "What its forms send.", "security": OPEN, "parameters": [letter], "responses": html},
        },
    }


def _post(summary: str) -> Document:
    responses = {"202": _json("Asked for.", _reference("Requested")), **_errors((400, 401, 403, 404, 503))}
    body = {"required": True, "content": {"application/json": {"schema": _reference("Asking")}}}
    return {"post": {"summary": summary, "security": OPERATOR, "requestBody": body, "responses": responses}}


def _get(summary: str, model: str | None, errors: tuple[int, ...], parameters: tuple[Document, ...] = ()) -> Document:
    schema = {"type": "object"} if model is None else _reference(model)
    return _operation(summary, TOKEN, {"200": _json("OK", schema), **_errors(errors)}, parameters)


def _open(summary: str, model: str) -> Document:
    responses = {"200": _json("Yes.", _reference(model)), "503": _json("Not now.", _reference(model))}
    return _operation(summary, OPEN, responses)


def _operation(
    summary: str, security: list[Document], responses: Document, parameters: tuple[Document, ...] = ()
) -> Document:
    operation: Document = {"summary": summary, "security": security, "responses": responses}
    return {"get": operation | ({"parameters": list(parameters)} if parameters else {})}


def _errors(statuses: tuple[int, ...]) -> Mapping[str, Document]:
    return {str(status): _json(STATUSES[status], _reference("Error")) for status in statuses}


def _json(description: str, schema: Document) -> Document:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _text(kind: str) -> Document:
    return {"description": "OK", "content": {kind: {"schema": {"type": "string"}}}}


def _reference(model: str) -> Document:
    return {"$ref": f"#/components/schemas/{model}"}


def _path_parameter(name: str, description: str) -> Document:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": description,
        "schema": {"type": "string"},
    }


def _header_parameter(name: str, description: str) -> Document:
    return {"name": name, "in": "header", "required": False, "description": description, "schema": {"type": "string"}}


def _query_parameter(name: str, schema: Document, description: str) -> Document:
    return {"name": name, "in": "query", "required": False, "description": description, "schema": schema}
