"""Times and durations as kafka-consumer-groups takes them, in milliseconds. Pure."""

import re
from datetime import UTC, datetime, timedelta, timezone

from streams.errors import UsageError

# Kafka's own pattern is yyyy-MM-ddTHH:mm:ss.SSS with an optional zone, UTC where there is none (Utils.getDateTime).
# Here the fraction may be missing, or finer: ce_time has microseconds.
_DATETIME = re.compile(
    r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.(\d{3})\d{0,6})?(?:Z|([+-]\d\d)(?::?([0-5]\d))?)?", re.ASCII
)
# java.time.Duration without signs.
_DURATION = re.compile(
    r"P(?=\d|T\d)(?:(\d{1,9})D)?(?:T(?=\d)(?:(\d{1,9})H)?(?:(\d{1,9})M)?(?:(\d{1,9})(?:\.(\d{1,9}))?S)?)?",
    re.ASCII | re.IGNORECASE,
)


def parse_datetime(text: str) -> int:
    """Milliseconds since 1970 of a time such as `2026-11-25T10:15:00.000+01:00`; UTC where it names no zone.

    Raises:
        UsageError: it is no such time, or no day or hour that exists.
    """
    found = _DATETIME.fullmatch(text)
    try:
        if found is None:
            raise ValueError  # noqa: TRY301 the same as a day that does not exist
        date, time, millis, hours, minutes = found.groups()
        offset = timedelta(hours=abs(int(hours or 0)), minutes=int(minutes or 0))
        zone = timezone(-offset if (hours or "").startswith("-") else offset)
        moment = datetime.fromisoformat(f"{date}T{time}").replace(tzinfo=zone)
        since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    except (ValueError, OverflowError):
        raise UsageError(f"expected a time such as 2026-11-25T10:15:00.000Z or with +01:00, got {text!r}") from None
    return since // timedelta(milliseconds=1) + int(millis or 0)


def parse_duration(text: str) -> int:
    """Milliseconds of a duration such as `P1DT2H30M5.5S`; rounded up, so that nothing is left out.

    Raises:
        UsageError: it is no such duration.
    """
    found = _DURATION.fullmatch(text)
    if found is None:
        raise UsageError(f"expected a duration PnDTnHnMnS such as PT30M or P1DT12H, got {text!r}")
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups()[:4])
    nanoseconds = int((found[5] or "").ljust(9, "0"))
    whole_s = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    return whole_s * 1000 - (-nanoseconds // 1_000_000)
