"""What every acceptance test shares: the trained classifier, once for the machine."""

from __future__ import annotations

import pytest
from filelock import FileLock

from mailbot.app import default_cache, load_understanding


@pytest.fixture(scope="session", autouse=True)
def trained_classifier() -> None:
    """Trains the shipped campaign's classifier unless it is in the cache; one process does it, the others wait."""
    default_cache().mkdir(parents=True, exist_ok=True)
    with FileLock(default_cache() / "tests.lock"):
        load_understanding(None)
