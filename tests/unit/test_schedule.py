"""When the digest is due."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailbot.schedule import cron_trigger, latest_fire

LONDON = ZoneInfo("Europe/London")
START = datetime(2026, 3, 1, tzinfo=UTC)  # a Sunday


@pytest.mark.parametrize(
    ("expression", "weekdays"),
    [
        ("0 7 * * 0", {6}),
        ("0 7 * * 7", {6}),
        ("0 7 * * 1-5", {0, 1, 2, 3, 4}),
        ("0 7 * * mon-fri", {0, 1, 2, 3, 4}),
        ("0 7 * * sun-tue", {6, 0, 1}),
        ("0 7 * * 1,4", {0, 3}),
        ("0 7 * * *", set(range(7))),
    ],
)
def test_days_of_the_week_are_crons_own(expression: str, weekdays: set[int]) -> None:
    trigger = cron_trigger(expression, LONDON)
    fires = [latest_fire(trigger, START + timedelta(days=day), START + timedelta(days=day + 1)) for day in range(14)]
    assert {fire.weekday() for fire in fires if fire} == weekdays


def test_the_campaigns_clock_counts_in_summer_too() -> None:
    trigger = cron_trigger("0 7 * * *", LONDON)
    summer = datetime(2026, 7, 1, 12, tzinfo=UTC)
    assert latest_fire(trigger, START, summer) == datetime(2026, 7, 1, 6, tzinfo=UTC)


@pytest.mark.parametrize("expression", ["0 * * * *", "30 1 * * *", "*/20 1-2 * * *"])
def test_the_hour_that_autumn_repeats_ends(expression: str) -> None:
    change = datetime(2026, 10, 25, tzinfo=UTC)  # 02:00 BST becomes 01:00 GMT
    trigger = cron_trigger(expression, LONDON)
    for minutes in range(0, 360, 25):
        fire = latest_fire(trigger, change, change + timedelta(minutes=minutes))
        assert fire is None or change < fire <= change + timedelta(minutes=minutes)


def test_nothing_is_due_twice() -> None:
    trigger = cron_trigger("0 7 * * *", LONDON)
    first = latest_fire(trigger, START, START + timedelta(days=3))
    assert first is not None
    assert latest_fire(trigger, first, first + timedelta(hours=23)) is None


@given(hours=st.integers(1, 24 * 60))
def test_the_latest_fire_lies_in_the_span_and_nothing_follows_it(hours: int) -> None:
    trigger = cron_trigger("15 */6 * * *", LONDON)
    end = START + timedelta(hours=hours)
    fire = latest_fire(trigger, START, end)
    if fire is None:
        assert hours <= 6
    else:
        assert START < fire <= end
        assert latest_fire(trigger, fire, end) is None


@pytest.mark.parametrize("expression", ["", "7", "0 25 * * *", "0 7 * * funday"])
def test_nonsense_is_refused(expression: str) -> None:
    with pytest.raises(ValueError):
        cron_trigger(expression, LONDON)
