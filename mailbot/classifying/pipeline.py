"""The classifying stage: from a Message to a Classification.

Owns: loading or training a classifier, and the order sentences, features, heads, contributions, class, review.
Must not know: mailboxes, the store, other stages.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mailbot.classifying.analysis import Analysis, Candidate, analyse
from mailbot.classifying.evidence import words_for
from mailbot.classifying.features import MACHINE_FACTS, rows_of
from mailbot.classifying.learn import CLASSES, TYPES, Model, Verdict, findings, train, verdict_of
from mailbot.classifying.model_file import load, save
from mailbot.classifying.review import contribution_reasons, disagreement, mail_reasons
from mailbot.classifying.rules import Examples, RuleFiles, find_files, load_examples, load_patterns
from mailbot.classifying.sentences import CONTRIBUTIONS_KEY, build_pipeline
from mailbot.errors import ConfigError
from mailbot.model import (
    Campaign,
    Classification,
    Contribution,
    ContributionType,
    Evidence,
    Message,
    MessageClass,
)

if TYPE_CHECKING:
    from spacy.language import Language

#: models kept in the cache folder, newest first
_KEPT = 3


@dataclass(frozen=True, slots=True)
class _Found:
    """One contribution: neighbouring sentences, and what the heads say of the strongest."""

    candidates: tuple[Candidate, ...]
    verdict: Verdict


_ANAPHORS = """it it's it'd it'll they they're they'd that that's this these those he she which both"""
#: a sentence that begins so speaks of what was said before
_GOES_ON = frozenset(_ANAPHORS.split())


def _belongs(last: _Found, candidate: Candidate, verdict: Verdict) -> bool:
    """Whether a carrying sentence goes on with the contribution before it."""
    before = last.candidates[-1]
    return (
        before.span.doc is candidate.span.doc
        and before.sentence.block == candidate.sentence.block
        and candidate.span.text.split(None, 1)[0].lower().strip(",") in _GOES_ON
        and last.verdict.type is verdict.type
        and (last.verdict.aims == verdict.aims or not verdict.aims)
    )


class Classifier:
    """Reads mail with a trained model. Safe to use from one thread at a time."""

    def __init__(self, *, nlp: Language, model: Model, version: str, problems: Sequence[str]) -> None:
        self._nlp = nlp
        self._model = model
        #: which model this is, such as "bow-3f2a9c1d"
        self.version = version
        #: broken lines in patterns and examples, with file and line
        self.problems = tuple(problems)

    def classify(self, message: Message) -> Classification:
        """What a mail is, what it holds, and how sure that is.

        Args:
            message: read by the reading stage.

        Returns:
            The class is `contribution` exactly if there are contributions; each quote is verbatim from the sender's
            own text, or from the text forwarded as a contribution.
        """
        analysis = analyse(self._nlp, message)
        verdicts = self._verdicts(analysis)
        message_class, confidence, runner_up = self._class(analysis, verdicts)
        found: list[_Found] = []
        if message_class is MessageClass.CONTRIBUTION:
            found = self._gather(analysis.candidates, verdicts)
            _mark(found)
        contributions = tuple(self._contribution(one) for one in found)
        mixed = _is_machine(analysis) and self._strongest(verdicts) >= self._model.carrying
        reasons = mail_reasons(message, message_class, confidence, runner_up, mixed=mixed)
        for one, contribution in zip(found, contributions, strict=True):
            reasons += contribution_reasons(contribution, one.verdict.type_margin)
        # What a machine wrote may well sound like an offer; only a person's words in it are worth a look.
        if message_class is not MessageClass.AUTOMATIC or mixed:
            reasons += self._disagreements(analysis, verdicts, found)
        return Classification(
            message_class=message_class,
            confidence=round(confidence, 4),
            contributions=contributions,
            review_reasons=tuple(dict.fromkeys(reasons)),
            model_version=self.version,
        )

    def _verdicts(self, analysis: Analysis) -> list[Verdict]:
        if not analysis.candidates:
            return []
        rows = rows_of([candidate.features for candidate in analysis.candidates])
        types = self._model.type_head.probabilities(rows)
        aims = self._model.aim_head.probabilities(rows)
        return [verdict_of(types[row], aims[row], self._model.aims) for row in range(len(types))]

    @staticmethod
    def _strongest(verdicts: Sequence[Verdict]) -> float:
        return max((verdict.carrying for verdict in verdicts), default=0.0)

    def _class(self, analysis: Analysis, verdicts: Sequence[Verdict]) -> tuple[MessageClass, float, MessageClass]:
        """(class, calibrated confidence, the next likely class)."""
        if _is_machine(analysis) and self._strongest(verdicts) < self._model.carrying:
            return MessageClass.AUTOMATIC, self._model.machine_confidence, MessageClass.ENQUIRY
        told = analysis.mail_features(findings(verdicts, self._model.carrying))
        chances = self._model.class_head.probabilities(rows_of([told]))[0]
        if not verdicts:
            chances[CLASSES.index(MessageClass.CONTRIBUTION)] = 0.0
            chances = chances / max(float(chances.sum()), 1e-6)
        order = np.argsort(-chances, kind="stable")
        confidence = self._model.class_calibration.apply(float(chances[order[0]]))
        return CLASSES[int(order[0])], confidence, CLASSES[int(order[1])]

    def _gather(self, candidates: Sequence[Candidate], verdicts: Sequence[Verdict]) -> list[_Found]:
        """The contributions of a mail that holds some: at least the likeliest sentence."""
        limit = min(self._model.carrying, self._strongest(verdicts))
        found: list[_Found] = []
        adjacent = False
        for candidate, verdict in zip(candidates, verdicts, strict=True):
            if verdict.carrying < limit:
                adjacent = False
                continue
            if adjacent and _belongs(found[-1], candidate, verdict):
                found[-1] = _Found((*found[-1].candidates, candidate), found[-1].verdict)
            else:
                found.append(_Found((candidate,), verdict))
            adjacent = True
        # "Count us in" counts only where nothing more specific is said.
        specific = [one for one in found if one.verdict.aims]
        return specific or [max(found, key=lambda one: one.verdict.carrying)]

    def _contribution(self, found: _Found) -> Contribution:
        first, last = found.candidates[0], found.candidates[-1]
        verdict = found.verdict
        quote = first.span.doc.text[first.sentence.start : last.sentence.end]
        because: list[Evidence] = []
        for candidate in found.candidates:
            because += words_for(candidate, self._model.type_head, TYPES.index(verdict.type), verdict.type)
            for aim in verdict.aims:
                because += words_for(candidate, self._model.aim_head, self._model.aims.index(aim), aim)
            because += [
                Evidence(text=words, why=f"{label.rpartition(':')[2]}: pattern {name}")
                for label, name, words in candidate.hits
                if label.rpartition(":")[2] in (verdict.type, *verdict.aims)
            ]
        return Contribution(
            type=verdict.type,
            aims=verdict.aims,
            quote=quote,
            confidence=round(self._model.contribution_calibration.apply(verdict.probability), 4),
            because=tuple(dict.fromkeys(one for one in because if one.text in quote)),
        )

    def _disagreements(self, analysis: Analysis, verdicts: Sequence[Verdict], found: Sequence[_Found]) -> list[str]:
        said: dict[int, tuple[ContributionType, tuple[str, ...]]] = {
            id(candidate): (one.verdict.type, one.verdict.aims) for one in found for candidate in one.candidates
        }
        reasons = []
        for candidate, verdict in zip(analysis.candidates, verdicts, strict=True):
            kind, aims = said.get(id(candidate), (None, ()))
            # A pattern alone is weak: it is news only where nothing else was found and the model wavers too.
            if kind is None and (found or verdict.carrying < 0.75 * self._model.carrying):
                continue
            reason = disagreement(candidate.sentence.text, candidate.hits, kind, aims)
            if reason:
                reasons.append(reason)
        return reasons


def _is_machine(analysis: Analysis) -> bool:
    return not MACHINE_FACTS.isdisjoint(analysis.facts)


def _mark(found: Sequence[_Found]) -> None:
    """Leave the contributions on their spaCy documents, for whoever looks at them with spaCy's tools."""
    from spacy.tokens import Span

    for one in found:
        first, last = one.candidates[0].span, one.candidates[-1].span
        doc = first.doc
        group = list(doc.spans[CONTRIBUTIONS_KEY]) if CONTRIBUTIONS_KEY in doc.spans else []
        doc.spans[CONTRIBUTIONS_KEY] = [*group, Span(doc, first.start, last.end, label=str(one.verdict.type))]


def _code_version() -> bytes:
    """Every source file of this stage: a change in code makes a new model."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.digest()


def _key(campaign: Campaign, files: RuleFiles) -> str:
    """Names a model by everything that it is made from."""
    digest = hashlib.sha256(_code_version())
    digest.update(f"{sys.version_info[:2]} numpy {np.__version__}".encode())
    digest.update(json.dumps([[aim.key, aim.title, aim.text] for aim in campaign.aims]).encode())
    for path in files.all():
        # The path as well, since the problems that are kept with the model name it.
        digest.update(str(path).encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _forget_old(folder: Path) -> None:
    models = sorted(folder.glob("bow-*.npz"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in models[_KEPT:]:
        path.unlink(missing_ok=True)


def _train(
    nlp: Language, examples: Examples, campaign: Campaign, progress: Callable[[str, float], None], path: Path
) -> tuple[Model, tuple[str, ...]]:
    if not examples.mails:
        raise ConfigError(
            ["no labelled mails in rules/examples/: the classifier has nothing to learn from", *examples.problems]
        )
    model = train(nlp, examples, campaign, progress)
    try:
        save(model, examples.problems, path)
        _forget_old(path.parent)
    except OSError as error:
        return model, (
            *examples.problems,
            f"{path.parent}: the model cannot be kept and is trained anew: {error.strerror}",
        )
    return model, examples.problems


def load_classifier(
    *,
    campaign: Campaign,
    rules_folders: Sequence[Path],
    cache_folder: Path,
    progress: Callable[[str, float], None] | None = None,
) -> Classifier:
    """The classifier for a campaign: from the cache, or trained from the labelled examples.

    Args:
        campaign: whose aims are told apart.
        rules_folders: in order of precedence; the first that has a file wins, file by file.
        cache_folder: made when missing; holds the trained models.
        progress: told what is being done and the share that is done, 0 to 1.

    Raises:
        ConfigError: there is not one labelled mail to learn from, or a file of rules cannot be read.
    """
    files = find_files(rules_folders)
    try:
        key = _key(campaign, files)
    except OSError as error:
        raise ConfigError([f"{error.filename}: {error.strerror}"]) from error
    version = f"bow-{key[:8]}"
    patterns, problems = load_patterns(files.patterns, campaign)
    nlp = build_pipeline([pattern.for_ruler() for pattern in patterns])
    path = cache_folder / f"bow-{key[:32]}.npz"
    loaded = load(path)
    if loaded is None:
        examples = load_examples(files.examples, campaign)
        loaded = _train(nlp, examples, campaign, progress or (lambda _what, _share: None), path)
    model, more = loaded
    return Classifier(nlp=nlp, model=model, version=version, problems=(*problems, *more))
