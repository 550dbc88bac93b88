"""What the sentence heads are taught: every labelled sentence as a row with its answers.

Owns: which label a sentence has, and rows, targets and weights.
Must not know: where examples come from, how heads are judged.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mailbot.classifying.analysis import Analysis, analyse, analyse_single
from mailbot.classifying.encoder import Encoder
from mailbot.classifying.examples import Label
from mailbot.classifying.fitted import aim_rows, type_rows
from mailbot.classifying.heads import Floats, Head
from mailbot.classifying.priors import Priors
from mailbot.classifying.rules import Examples
from mailbot.classifying.verdicts import TYPES
from mailbot.model import Campaign, ContributionType

if TYPE_CHECKING:
    from spacy.language import Language

#: the group of what is taught in every fold
EVERY_FOLD = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Taught:
    """A mail or a single sentence, taken apart, with the label of each of its sentences."""

    analysis: Analysis
    labels: Sequence[Label | None]
    #: folds never cut a group apart
    group: int


def labels_of(sentences: Sequence[str], labels: Sequence[Label]) -> list[Label | None]:
    """For each sentence the label whose quote it belongs to; white space does not matter.

    A quote belongs to the sentences that it consists of, or that it makes up most of; failing that, to the first one
    that holds it, for a writer's sentence may be less than ours.
    """
    texts = [" ".join(sentence.split()) for sentence in sentences]
    quotes = [(label, " ".join(label.quote.split())) for label in labels]
    found = [
        next(
            (label for label, quote in quotes if text in quote or (quote in text and 2 * len(quote) > len(text))), None
        )
        for text in texts
    ]
    for label, quote in quotes:
        if label not in found:
            place = next((index for index, text in enumerate(texts) if quote in text and found[index] is None), None)
            if place is not None:
                found[place] = label
    return found


def read_examples(
    nlp: Language, encoder: Encoder, examples: Examples, campaign: Campaign, progress: Callable[[float], None]
) -> tuple[list[Taught], list[Taught]]:
    """Take every example apart.

    Args:
        nlp: the pipeline with the rules.
        encoder: which the heads belong to.
        examples: mails and sentences.
        campaign: its aims' own wording is all that a new campaign has to begin with.
        progress: told the share that is done, 0 to 1.

    Returns:
        The mails, and the single sentences with the aims' wording.
    """
    steps = len(examples.mails) + len(examples.sentences) + 1
    mails, sentences = [], []
    for number, mail in enumerate(examples.mails):
        progress(number / steps)
        analysis = analyse(nlp, encoder, mail.message)
        labels = labels_of([candidate.sentence.text for candidate in analysis.candidates], mail.contributions)
        mails.append(Taught(analysis=analysis, labels=labels, group=number))
    for group, sentence in enumerate(examples.sentences, start=len(mails)):
        progress(group / steps)
        single = analyse_single(nlp, encoder, sentence.text)
        sentences.append(Taught(analysis=single, labels=[sentence.label], group=group))
    for aim in campaign.aims:
        wording = analyse_single(nlp, encoder, f"{aim.title}. {aim.text}")
        label = Label(type=ContributionType.OFFER, aims=(aim.key,), quote=aim.text)
        sentences.append(Taught(analysis=wording, labels=[label], group=EVERY_FOLD))
    return mails, sentences


@dataclass(frozen=True, slots=True, kw_only=True)
class Lessons:
    """What the sentence heads learn from, one row for each sentence."""

    type_rows: Floats
    aim_rows: Floats
    types: Floats
    type_weights: Floats
    aims: Floats
    aim_weights: Floats
    #: the example that each came from; negative for what is taught in every fold
    groups: NDArray[np.int64]

    def heads(self, priors: Priors, chosen: NDArray[np.bool_]) -> tuple[Head, Head]:
        """The type head and the aim head, taught the chosen rows."""
        return (
            priors.types.fit(self.type_rows[chosen], self.types[chosen], self.type_weights[chosen]),
            priors.aims.fit(self.aim_rows[chosen], self.aims[chosen], self.aim_weights[chosen]),
        )


def lessons_of(mails: Sequence[Taught], sentences: Sequence[Taught], keys: Sequence[str]) -> Lessons:
    """Every sentence to learn from.

    Args:
        mails: in groups of their own.
        sentences: the same, but those without a group teach aims in every fold, and nothing about types.
        keys: the campaign's aims.
    """
    taught = [*mails, *sentences]
    labels = [label for one in taught for label in one.labels]
    groups = np.array([one.group for one in taught for _ in one.labels], dtype=np.int64)
    kinds = [TYPES.index(label.type if label else None) for label in labels]
    known = [float(label is not None and set(label.aims) <= set(keys)) for label in labels]
    return Lessons(
        type_rows=np.concatenate(
            [type_rows(one.analysis.candidates, one.analysis.encoded.sentences) for one in taught]
        ),
        aim_rows=np.concatenate(
            [aim_rows(one.analysis.candidates, one.analysis.encoded.sentences, keys) for one in taught]
        ),
        types=np.eye(len(TYPES), dtype=np.float32)[kinds],
        type_weights=np.repeat((groups >= 0).astype(np.float32)[:, None], len(TYPES), axis=1),
        aims=np.array(
            [[float(label is not None and key in label.aims) for key in keys] for label in labels], np.float32
        ),
        aim_weights=np.repeat(np.array(known, dtype=np.float32)[:, None], len(keys), axis=1),
        groups=groups,
    )
