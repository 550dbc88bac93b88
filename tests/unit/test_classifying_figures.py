"""The figures in the documentation are those of the model that ships."""

from __future__ import annotations

import json

from benchmarks.classification import BEGIN, DOCS, END, METRICS, table
from mailbot.classifying.encoder import ENCODER_FILE, SHIPPED_MODEL, TOKENIZER_FILE
from mailbot.classifying.model_file import load
from mailbot.classifying.models import HEADS_FILE, version_of
from mailbot.classifying.rules import find_files
from mailbot.config import SHIPPED


def test_the_figures_are_of_the_shipped_model() -> None:
    stored = load(SHIPPED_MODEL / HEADS_FILE)
    assert stored is not None
    metrics = json.loads(METRICS.read_text("utf-8"))
    # Otherwise: python -m benchmarks.classification --write
    assert metrics["model"] == f"minilm-{version_of(stored.model, find_files([SHIPPED / 'rules']))}"
    _, _, rest = DOCS.read_text("utf-8").partition(BEGIN)
    assert rest.partition(END)[0].strip() == table(metrics["sets"])


def test_encoder_and_tokenizer_are_small() -> None:
    octets = sum((SHIPPED_MODEL / name).stat().st_size for name in (ENCODER_FILE, TOKENIZER_FILE))
    assert octets <= 25_000_000
