"""Cron expressions: when the digest is due. No clock and no jobs here."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from apscheduler.triggers.cron import CronTrigger

#: cron counts the days of the week from Sunday, APScheduler from Monday; names mean the same to both
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun")
#: nobody waits for an older digest
_LONGEST_LOOK_BACK = timedelta(days=400)


def cron_trigger(expression: str, zone: ZoneInfo) -> CronTrigger:
    """A trigger for five cron fields: minute, hour, day of month, month, day of week (0 and 7 are Sunday).

    Raises:
        ValueError: the expression is not such.
    """
    fields = expression.split()
    if len(fields) == 5:
        fields[4] = re.sub(r"(?<![\d/])[0-7](?!\d)", lambda day: _WEEKDAYS[int(day[0])], fields[4].lower())
        # APScheduler's week ends on Sunday: "sun-thu" has to be told in two parts there.
        fields[4] = re.sub(r"\bsun-(?=(mon|tue|wed|thu|fri|sat)\b)", "sun,mon-", fields[4])
    return CronTrigger.from_crontab(" ".join(fields), timezone=zone)


def latest_fire(trigger: CronTrigger, after: datetime, until: datetime) -> datetime | None:
    """The last time later than `after` and not later than `until` at which `trigger` fires; None when there is none."""
    latest = None
    # In UTC: an hour that the clocks repeat in autumn is two hours there, and arithmetic cannot fall back into it.
    at = max(after, until - _LONGEST_LOOK_BACK).astimezone(UTC) + timedelta(microseconds=1)
    while (fire := trigger.get_next_fire_time(None, at)) is not None and fire <= until:
        latest = fire
        at = fire.astimezone(UTC) + timedelta(microseconds=1)
    return latest
