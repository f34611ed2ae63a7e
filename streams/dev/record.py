"""What `headrace dev up` leaves for other commands: where the broker is (`Settings` reads it)."""

import json
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from streams.config import dev_broker_record


@dataclass(frozen=True, slots=True)
class DevRecord:
    """The cluster that `dev up` started.

    Args:
        bootstrap_servers: its address.
        cluster_id: its id; another cluster may answer on the address later.
        pids: its brokers' processes (none where they run in containers).
        folder: its data and logs.
        registry_url: of the registry that runs with it; empty where there is none.
    """

    bootstrap_servers: str
    cluster_id: str
    pids: tuple[int, ...]
    folder: Path
    registry_url: str = ""

    def save(self) -> None:
        """Write it so that a reader sees all of it or nothing."""
        path = dev_broker_record()
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=path.name, delete=False) as file:
            json.dump(asdict(self), file, indent=2, default=str)
        Path(file.name).replace(path)

    @staticmethod
    def load() -> "DevRecord | None":
        """Read it; None when there is none, or none that can be read."""
        try:
            content = json.loads(dev_broker_record().read_text())
            return DevRecord(
                content["bootstrap_servers"],
                content["cluster_id"],
                tuple(content["pids"]),
                Path(content["folder"]),
                content.get("registry_url", ""),
            )
        except (OSError, ValueError, KeyError, TypeError):
            return None

    @staticmethod
    def remove() -> None:
        """Forget it."""
        dev_broker_record().unlink(missing_ok=True)
