"""Every metric of Headrace, with what it counts and when it moves.

Updated once a batch or cycle, never a record. A partition that leaves a worker takes its series with it:
`LAG.remove(stage, topic, partition)`, or two workers would report the same partition.
docs/reference/metrics.md is the same list for operators.
"""

from prometheus_client import Counter, Gauge, disable_created_metrics

from streams.telemetry.histogram import CALL_SECONDS, Histogram

# Without it each counter has a second series, its time of birth, that no dashboard or alert of ours reads.
disable_created_metrics()  # type: ignore[no-untyped-call]  # the library has no types here

# Records that committed transactions have consumed. Aborted ones are not counted: they come again.
RECORDS = Counter("headrace_records", "Records consumed in committed transactions.", ["stage"])
# Batches handed to agents, aborted cycles included: it shows work, RECORDS shows progress.
BATCHES = Counter("headrace_batches", "Batches handed to agents.", ["stage"])
# Transactions committed.
TRANSACTIONS = Counter("headrace_transactions", "Transactions committed.", ["stage"])
# Transactions aborted; `reason` is one of agent, timeout, fenced, lost, rebalance, revoked, queue-full, error.
ABORTS = Counter("headrace_aborts", "Transactions aborted.", ["stage", "reason"])
# From the first poll of a transaction to its commit, as one observation a transaction.
CYCLE_SECONDS = Histogram("headrace_cycle_seconds", "Seconds from first poll to commit.", ["stage"])
# Changelog writes, flush, offsets and commit_transaction: the part of a cycle that waits for the broker.
COMMIT_SECONDS = Histogram("headrace_commit_seconds", "Seconds a commit took.", ["stage"])
# Records between the committed position and the high watermark, of partitions that this worker owns.
LAG = Gauge("headrace_lag_records", "Records not yet processed.", ["stage", "topic", "partition"])
# Changelog records applied by the restore that runs or ran last, and how many it has to apply.
RESTORED = Gauge("headrace_restored_records", "Changelog records restored.", ["stage", "table", "partition"])
RESTORE_TARGET = Gauge(
    "headrace_restore_target_records", "Changelog records to restore.", ["stage", "table", "partition"]
)
# Records that wait in the stage's table `parked`: failed ones for their retry, others of their key behind them.
PARKED = Gauge("headrace_parked_records", "Records that wait.", ["stage", "partition"])
PARKED_BYTES = Gauge("headrace_parked_bytes", "Bytes of the records that wait.", ["stage", "partition"])
# 1 while a source partition stands still because of an outage, or because nothing more can be parked.
STANDS_STILL = Gauge("headrace_stands_still", "Source partitions that stand still.", ["stage", "topic", "partition"])
# Dead letters that committed transactions have produced, by the category of their header.
DEAD_LETTERS = Counter("headrace_dead_letters", "Dead letters produced.", ["stage", "category"])
# Messages that a route sent on, once a message however many destinations it has.
ROUTED = Counter("headrace_routed", "Messages sent on by a route.", ["route"])
# Messages that a route matched and could not send on; only of routes with `alert_on_failure`.
ROUTE_FAILURES = Counter("headrace_route_failures", "Messages that a route failed to send on.", ["route"])
# Record timestamp to commit, of routes with `track_latency`; clocks of producers count into it.
ROUTE_LATENCY = Histogram("headrace_route_latency_seconds", "Record timestamp to commit.", ["route"])
# Conversions that transformations made, by hop (`partner_order_v1 -> order`): how many, how long each took, how many
# failed.
HOPS = Counter("headrace_hops", "Conversions of payloads made.", ["stage", "hop"])
HOP_SECONDS = Histogram("headrace_hop_seconds", "Seconds a conversion took.", ["stage", "hop"], bounds=CALL_SECONDS)
HOP_FAILURES = Counter("headrace_hop_failures", "Conversions of payloads that failed.", ["stage", "hop"])
# Requests that calls made, by outcome: succeeded, failed, transient; `refused` ones the open circuit did not let out.
# Once a request, when it ends: it was made, whether its cycle commits or not.
CALLS = Counter("headrace_calls", "HTTP requests of calls, by outcome.", ["stage", "outcome"])
CALL_DURATION = Histogram("headrace_call_seconds", "Seconds an HTTP request of a call took.", ["stage"])
# 1 while the peer of a call is left alone after failures in a row.
CALL_CIRCUIT_OPEN = Gauge("headrace_call_circuit_open", "Open circuits of calls.", ["stage"])
# Messages that an idempotent receiver has seen before and did not pass on.
DUPLICATES = Counter("headrace_duplicates", "Messages that came again and were dropped.", ["stage"])
# 1 for the state a stage is in, 0 for the others.
STAGE_STATE = Gauge("headrace_stage_state", "State of a stage on this worker.", ["stage", "state"])
# Errors that Kafka's consumers and producers reported, by librdkafka's name of the error (`_TRANSPORT`, ...).
CONSUMER_ERRORS = Counter("headrace_consumer_errors", "Errors of Kafka consumers.", ["stage", "error"])
PRODUCER_ERRORS = Counter("headrace_producer_errors", "Errors of Kafka producers.", ["stage", "error"])

STAGE_STATES = ("waiting", "starting", "restoring", "running", "stopping", "stopped", "failed")


def show_stage_state(stage: str, state: str) -> None:
    """Make `state` the one state of `stage` that is 1."""
    for each in STAGE_STATES:
        STAGE_STATE.labels(stage, each).set(each == state)
