"""Another campaign with three aims of its own: trained from its files, kept, and judged before it is replaced."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from hypothesis import given, settings
from hypothesis import strategies as st

from mailbot.campaign import load_campaign
from mailbot.classifying import (
    Classifier,
    Workshop,
    keep,
    load_classifier,
    model_file,
    open_workshop,
    try_training,
)
from mailbot.classifying.encoder import SHIPPED_MODEL
from mailbot.classifying.evaluate import answer_all, load_corpus, measure
from mailbot.classifying.examples import mail_octets
from mailbot.classifying.model_file import load_base, save
from mailbot.classifying.models import BASE_FILE
from mailbot.classifying.priors import priors_of
from mailbot.config import SHIPPED
from mailbot.model import Message, MessageClass
from mailbot.reading import read

CLIMATE = Path(__file__).parents[1] / "campaigns" / "climate"


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A folder with the trained model, one for all the processes of a run; nobody writes it."""
    # The workers of a run share the folder above theirs; without workers that one is shared with earlier runs.
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "climate-cache"
    with FileLock(f"{folder}.lock"):
        load_classifier(campaign=load_campaign([CLIMATE]), rules_folders=[CLIMATE], cache_folder=folder, read=read)
    return folder


def load(cache: Path, *rules: Path) -> Classifier:
    folders = [*rules, CLIMATE]
    return load_classifier(campaign=load_campaign([CLIMATE]), rules_folders=folders, cache_folder=cache, read=read)


def workshop(cache: Path, *rules: Path) -> Workshop:
    return open_workshop(campaign=load_campaign([CLIMATE]), rules_folders=[*rules, CLIMATE], cache_folder=cache)


def mails() -> list[Message]:
    return [mail.message for mail in load_corpus(CLIMATE / "unseen.jsonl", read)]


def test_a_campaign_of_three_aims_is_learnt_from_its_own_files(cache: Path) -> None:
    metrics = measure(answer_all(load(cache), load_corpus(CLIMATE / "unseen.jsonl", read)))
    assert metrics.class_accuracy >= 0.7
    assert metrics.aims_micro.f1 >= 0.6
    assert {name for name, _ in metrics.per_aim} == {aim.key for aim in load_campaign([CLIMATE]).aims}


def test_a_second_start_reads_the_cache_and_answers_the_same(cache: Path) -> None:
    steps: list[str] = []
    first, again = (
        load_classifier(
            campaign=load_campaign([CLIMATE]),
            rules_folders=[CLIMATE],
            cache_folder=cache,
            read=read,
            progress=lambda what, _share: steps.append(what),
        )
        for _ in range(2)
    )
    assert steps == []
    assert [first.classify(one) for one in mails()] == [again.classify(one) for one in mails()]


def test_training_anew_gives_the_same_model(cache: Path) -> None:
    shares: list[float] = []
    trial = try_training(workshop(cache), read, lambda _what, share: shares.append(share))
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0.0, 1.0)
    stored = workshop(cache).current()
    assert stored is not None
    assert trial.model.version == stored.model.version
    assert trial.before == trial.after
    assert not trial.worse


def test_a_damaged_model_is_trained_over(cache: Path, tmp_path: Path) -> None:
    (whole,) = cache.glob("*.npz")
    path = tmp_path / whole.name
    path.write_bytes(whole.read_bytes()[:-200])
    message = mails()[0]
    assert load(tmp_path).classify(message) == load(cache).classify(message)
    assert path.read_bytes() == whole.read_bytes()
    assert path.stat().st_mode & 0o777 == whole.stat().st_mode & 0o777 == 0o666 & ~umask()
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


def umask() -> int:
    """What the process withholds from new files."""
    os.umask(now := os.umask(0))
    return now


@given(octets=st.one_of(st.binary(max_size=60), st.integers(0, 2**20)), data=st.data())
@settings(max_examples=80, deadline=None)
def test_a_damaged_model_is_as_good_as_none(
    cache: Path, tmp_path_factory: pytest.TempPathFactory, octets: bytes | int, data: st.DataObject
) -> None:
    (whole,) = cache.glob("*.npz")
    damaged = bytearray(whole.read_bytes())
    if isinstance(octets, int):
        place = octets % len(damaged)
        damaged[place] ^= data.draw(st.integers(1, 255))
    else:
        damaged = bytearray(octets)
    path = tmp_path_factory.mktemp("damaged") / "heads.npz"
    path.write_bytes(damaged)
    found = model_file.load(path)
    # Some octets of an archive mean nothing; then the model is the whole one.
    assert found is None or found.model.version == workshop(cache).current().model.version  # type: ignore[union-attr]


def test_changed_rules_ask_for_training_and_the_model_stays(cache: Path, tmp_path: Path) -> None:
    (tmp_path / "patterns.jsonl").write_text('{"label": "none", "pattern": "x"}\n{broken', encoding="utf-8")
    changed = load(cache, tmp_path)
    assert changed.version != load(cache).version
    broken, old = changed.problems[:2]
    assert broken.startswith(f"{tmp_path / 'patterns.jsonl'}, line 2:")
    assert "mailbot train" in old


def test_worse_is_worse_by_more_than_chance(cache: Path) -> None:
    trial = try_training(workshop(cache), read)
    assert trial.before is not None
    good, chance, bad = (replace(trial.before, aims=trial.before.aims - loss) for loss in (0.0, 0.01, 0.1))
    assert not replace(trial, after=good).worse
    assert not replace(trial, after=chance).worse
    assert replace(trial, after=bad).worse


def test_new_mails_are_judged_by_both_models_and_the_new_one_is_kept_on_demand(cache: Path, tmp_path: Path) -> None:
    rules = tmp_path / "rules"
    (rules / "examples").mkdir(parents=True)
    shutil.copy(CLIMATE / "unseen.jsonl", rules / "examples" / "more.jsonl")
    shutil.copytree(cache, tmp_path / "cache")
    place = workshop(tmp_path / "cache", rules)
    trial = try_training(place, read)
    old = place.current()
    assert old is not None
    assert len(trial.answers) == len(old.model.held_out) + len(mails())
    assert trial.before != trial.after
    assert keep(place, trial) == ()
    kept = place.current()
    assert kept is not None
    assert kept.model.version == trial.model.version != old.model.version
    assert not [problem for problem in load(tmp_path / "cache", rules).problems if "mailbot train" in problem]


def test_a_cache_that_cannot_be_written_is_a_problem_not_a_failure(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way", encoding="utf-8")
    loaded = load(blocked)
    assert any(str(blocked) in problem for problem in loaded.problems)
    row = {"id": "m", "from_email": "ann@lock.example", "subject": "", "body": "When is the next meeting?"}
    assert loaded.classify(read(mail_octets(row))).message_class is MessageClass.ENQUIRY


def test_few_examples_leave_the_built_in_limits(tmp_path: Path) -> None:
    rules = tmp_path / "rules"
    (rules / "examples").mkdir(parents=True)
    sentence = {"text": "You may have our van for the seedlings.", "type": "offer", "aims": ["growing"]}
    (rules / "examples" / "mails.jsonl").write_text("", encoding="utf-8")
    (rules / "examples" / "sentences.jsonl").write_text(json.dumps(sentence), encoding="utf-8")
    trial = try_training(workshop(tmp_path / "cache", rules), read)
    assert (trial.answers, trial.before, trial.after, trial.worse, trial.blind) == ((), None, None, False, False)
    assert any("too few labelled mails" in problem for problem in trial.problems)


def test_what_the_model_in_use_was_taught_unjudged_judges_nobody(cache: Path, tmp_path: Path) -> None:
    shutil.copytree(cache, tmp_path / "cache")
    place = workshop(tmp_path / "cache")
    stored = place.current()
    assert stored is not None
    save(replace(stored, model=replace(stored.model, held_out={})), place.own)
    trial = try_training(place, read)
    assert trial.blind
    assert (trial.before, trial.after, trial.compared, trial.worse) == (None, None, 0, False)


def test_an_aim_of_the_same_key_and_another_title_is_another_aim() -> None:
    (shipped,) = [load_campaign([SHIPPED / "rules"])]
    first, *others = shipped.aims
    base = load_base(SHIPPED_MODEL / BASE_FILE)
    known = priors_of(base, shipped.aims).aims
    other = priors_of(base, [replace(first, title="Rowing"), *others]).aims
    assert np.any(known.head.weights[:-1, 0])
    assert not np.any(other.head.weights[:-1, 0])
    assert np.array_equal(known.head.weights[:-1, 1:], other.head.weights[:-1, 1:])
    assert other.stiffness.max() < known.stiffness.max()
