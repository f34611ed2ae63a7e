"""Every JSON body that the web server sends, as a model: what is sent is what /api/openapi.json says."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Body(BaseModel):
    """A body has these members and no others."""

    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_bytes="base64")

    def encode(self) -> bytes:
        """JSON in UTF-8."""
        return self.model_dump_json().encode()


class ErrorDetail(Body):
    """Why there is no answer."""

    code: str = Field(description="Stable word for programs.")
    message: str = Field(description="One line for people.")


class Error(Body):
    """Any answer that is not a success."""

    error: ErrorDetail


class Value(Body):
    """A committed row of a table."""

    key: str = Field(description="UTF-8 text; `base64:` and URL-safe base64 for any other bytes.")
    value: Any = Field(description="The row: any JSON.")
    position: str = Field(
        description="topic/partition=offset of the last record of the lead that the row reflects, -1 before the first; "
        "as Min-Position of a later read it makes that no older."
    )


class ValueList(Body):
    """Rows in key order."""

    items: list[Value]
    next: str | None = Field(description="`after` of the next page; null at the end.")


class Table(Body):
    """A table of a stage of the topology."""

    name: str = Field(description="<stage>.<table>")
    stage: str
    table: str
    by: Literal["key", "source"] = Field(description="A row lives where its key hashes to, or where it came from.")


class TableList(Body):
    """All tables, by name."""

    items: list[Table]
    next: None = Field(description="Always null: the list is whole.")


class Partition(Body):
    """A source partition and the worker's progress in it."""

    topic: str
    partition: int
    state: str = Field(description="opening, restoring, running or paused.")
    lag: int | None = Field(description="Records not yet processed; null while unknown.")
    restored: int = Field(description="Changelog records restored.")
    restore_target: int = Field(description="Changelog records to restore.")


class Worker(Body):
    """One worker's share of a stage."""

    url: str
    instance: str = Field(description="Instance id; empty when the worker did not answer.")
    state: str = Field(description="waiting, starting, restoring, running, stopping, stopped, failed or unreachable.")
    reason: str = Field(description="What it waits for or why it failed; else empty.")
    partitions: list[Partition]
    counters: dict[str, float] = Field(description="Since the worker started.")


class Stage(Body):
    """A stage of the topology and the workers that run it."""

    name: str
    group: str = Field(description="Consumer group.")
    state: str = Field(
        description="The least ready of its workers' states; stopped when none runs it; "
        "unknown when Kafka does not say who does."
    )
    sources: list[str]
    tables: list[str]
    workers: list[Worker]


class StageList(Body):
    """All stages, by name."""

    items: list[Stage]
    next: None = Field(description="Always null: the list is whole.")


class StageReadiness(Body):
    """How ready one stage of this worker is."""

    name: str
    state: str
    reason: str
    partitions: list[Partition]


class Readiness(Body):
    """Whether every stage of this worker runs with its tables restored."""

    ready: bool
    waiting_for: list[str] = Field(description="One line for each thing that is not ready.")
    paused: list[str] = Field(description="Partitions that a failure paused; they do not make a worker unready.")
    stages: list[StageReadiness]


class Liveness(Body):
    """The process answers and none of its stages has failed."""

    live: bool
