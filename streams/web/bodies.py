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


class DeadLetter(Body):
    """A dead letter as the index has it."""

    id: str = Field(description="<stage>:<topic>:<partition>:<offset> of the record that failed.")
    stage: str
    topic: str
    partition: int
    offset: int
    state: str = Field(description="new, reviewed, notified, archived: open; redriven, discarded: closed.")
    category: str
    exception: str
    message: str
    route: str | None
    key: str | None = Field(description="As keys of tables; of a long one the beginning.")
    attempts: int = Field(description="How often it was tried before it became this letter; 0 where its key was held.")
    redrives: int
    first_failed_at: str
    last_failed_at: str
    next_redrive_at: str | None = Field(description="When it returns by itself.")
    letter: str = Field(description="topic/partition@offset of its newest letter.")
    omitted: bool = Field(description="It has no value, since it was too large for its dlq.")
    note: str = Field(description="Why a request about it was not carried out; else empty.")


class DeadLetterList(Body):
    """Letters in the order of stage, topic, partition and offset."""

    items: list[DeadLetter]
    next: str | None = Field(description="`after` of the next page, which may be short; null at the end.")


class Header(Body):
    """A header; bytes that are no UTF-8 text in base64, as in keys."""

    name: str
    value: str | None


class DeadLetterDetail(DeadLetter):
    """A dead letter with what is in it."""

    headers: list[Header]
    value: str | None = Field(description="The record's value in base64.")
    payload: Any = Field(description="The value as JSON; null where it cannot be decoded.")
    contract: str | None = Field(description="Short name of the payload's contract.")
    refusal: str = Field(description="Why there is no payload; else empty.")
    stacktrace: str
    timestamp: str | None = Field(description="Of the record that failed.")


class Asking(Body):
    """Letters to redrive or discard: either `ids` or `filters`."""

    ids: list[str] | None = Field(None, max_length=1000)
    filters: dict[str, str] | None = Field(None, description="As of the list; `state` is open unless given.")
    after: str | None = Field(None, description="With filters: `next` of the answer before.")


class Refused(Body):
    """A letter that nothing was asked about."""

    id: str
    reason: str


class Requested(Body):
    """What was asked of the dead letter stage, which carries it out soon."""

    requested: list[str]
    refused: list[Refused]
    next: str | None = Field(description="There are more letters that the filters mean: `after` of the next request.")
