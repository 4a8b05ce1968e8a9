"""Machine and times, from the text log of a session."""

import re
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

_STAMP = re.compile(r'^(\d{4}/\d\d/\d\d \d\d:\d\d:\d\d) - ', re.MULTILINE)
_FACT = re.compile(r'^ {4}(\w[^:\n]*): (.+)$', re.MULTILINE)
_LONG = 'PyTorch compiling details'
_ENDS = 1 << 16  # bytes: logs of long runs are large, and their ends suffice


class LogFacts(NamedTuple):
    """Facts of one session.

    Attributes:
        begin: Time of the first line; None if no line has one.
        end: Time of the last line.
        environment: Versions, devices and seed, as mmengine found them.
    """

    begin: datetime | None
    end: datetime | None
    environment: dict[str, str]


def read_log(file: Path) -> LogFacts:
    """Read the two ends of a log of mmengine; what is not there is left out."""
    with file.open('rb') as stream:
        head = stream.read(_ENDS)
        size = stream.seek(0, 2)
        stream.seek(max(0, size - _ENDS))
        tail = stream.read()
    text = head.decode('utf-8', 'replace')
    stamps = _STAMP.findall(text) + _STAMP.findall(tail.decode('utf-8', 'replace'))
    times = [time for stamp in stamps if (time := _time(stamp))]
    facts = text.partition('- Config:')[0]
    return LogFacts(
        times[0] if times else None,
        times[-1] if times else None,
        {k: v.strip() for k, v in _FACT.findall(facts) if k != _LONG},
    )


def _time(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, '%Y/%m/%d %H:%M:%S')
    except ValueError:  # the 99th of a month
        return None
