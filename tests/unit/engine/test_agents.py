"""What of Faust's agents and streams would lose or double records here is refused when the stage is written."""

from pathlib import Path
from typing import Any

import pytest

from streams.config import Settings
from streams.engine.agents import BatchStream
from streams.engine.app import StageApp
from streams.engine.stage import StageSpec
from streams.errors import ConfigurationRefused


@pytest.fixture
def app(tmp_path: Path) -> StageApp:
    settings = Settings(KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1", HEADRACE_STATE_DIR=tmp_path, HEADRACE_INSTANCE_ID="w1")
    return StageApp(StageSpec("agents", ("orders",)), settings)


async def consume(batches: Any) -> None:
    async for _batch in batches:
        pass


@pytest.mark.parametrize("options", [{"concurrency": 2}, {"isolated_partitions": True}, {"sink": [print]}])
def test_an_agent_has_one_stream_and_no_sink(app: StageApp, options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationRefused, match="one stream"):
        app.agent(app.topic("orders"), **options)(consume)


def test_an_agent_that_yields_is_refused(app: StageApp) -> None:
    async def yields(batches: Any) -> Any:
        async for batch in batches:
            yield batch

    with pytest.raises(ConfigurationRefused, match="yields"):
        app.agent(app.topic("orders"), name="doubling")(yields)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("take", (10, 1.0)),
        ("take_events", (10, 1.0)),
        ("take_with_timestamp", (10, 1.0)),
        ("noack_take", (10, 1.0)),
        ("noack", ()),
        ("filter", (bool,)),
        ("through", ("other",)),
        ("echo", ("other",)),
        ("group_by", (str,)),
        ("join", ()),
    ],
)
def test_what_acknowledges_early_or_passes_the_engine_by_is_refused(
    app: StageApp, name: str, arguments: tuple[Any, ...]
) -> None:
    stream = app.stream(app.topic("orders"))
    assert isinstance(stream, BatchStream)
    with pytest.raises(ConfigurationRefused, match="async for batch"):
        getattr(stream, name)(*arguments)
