"""Which model classifies: the shipped one, one that was trained here, or one that is fitted now.

Owns: where models lie, when they fit a campaign, training anew and judging whether that is better.
Must not know: how a mail is classified, mailboxes, the store, other stages.

Models are made from the encoder, the campaign's aims and the rules (patterns and examples). Another encoder or other
aims make a model useless; other rules only make it old, and `mailbot train` takes them in.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mailbot.classifying.encoder import SHIPPED_MODEL, Encoder, load_encoder
from mailbot.classifying.evaluate import Answer
from mailbot.classifying.examples import LabelledMail, Read
from mailbot.classifying.fitted import Base, Model, Said
from mailbot.classifying.learn import train
from mailbot.classifying.model_file import Stored, load, load_base, save
from mailbot.classifying.pipeline import Classifier
from mailbot.classifying.rules import RuleFiles, find_files, load_examples, load_patterns
from mailbot.classifying.sentences import build_pipeline
from mailbot.errors import ConfigError
from mailbot.model import Campaign

if TYPE_CHECKING:
    from spacy.language import Language

#: heads that the encoder was built with, and heads fitted to the shipped rules
BASE_FILE = "base.npz"
HEADS_FILE = "heads.npz"
#: raised when a model's file means something else than before
_FORMAT = 2
#: scores may fall by so much, or by as much as so many mails weigh, through chance alone
_CHANCE, _CHANCE_MAILS = 0.005, 1.5

_UNMEASURED = (
    "too few labelled mails contribute to this campaign's aims to measure confidence and doubt on: "
    "add some to rules/examples/ and run `mailbot train`"
)

Progress = Callable[[str, float], None]


def _silent(_what: str, _share: float) -> None:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Workshop:
    """Everything that models are made of and kept in, for one campaign."""

    campaign: Campaign
    files: RuleFiles
    encoder: Encoder
    base: Base
    nlp: Language
    #: patterns that cannot be used, with file and line
    problems: tuple[str, ...]
    #: what ships; never written
    shipped: Path
    #: where a model that was trained here lies
    own: Path
    #: names the encoder and the aims: a model of another fit is useless
    fit: str
    #: names the rules: a model of other rules is old
    rules: str

    def current(self) -> Stored | None:
        """The model in use; None when there is none for this campaign.

        Raises:
            ConfigError: it is there and cannot be read.
        """
        for path in (self.own, self.shipped):
            try:
                stored = load(path)
            except OSError as error:
                raise ConfigError([f"{path}: {error.strerror}"]) from error
            if stored is not None and stored.fit == self.fit:
                return stored
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """How well two models can be compared by, each 0 to 1."""

    message_class: float
    aims: float
    types: float

    @property
    def mean(self) -> float:
        """The mean of the three."""
        return (self.message_class + self.aims + self.types) / 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A model trained anew, beside the one in use."""

    model: Model
    #: for each mail that the encoder has not seen, by heads that were not taught it; none with too few mails
    answers: tuple[Answer, ...]
    #: of the model in use and of the new one, on the mails that neither was taught; None when there is none
    before: Scores | None
    after: Scores | None
    #: how many mails these are
    compared: int
    #: there is a model in use, and no mail to compare the two by
    blind: bool
    #: lines of the rules that cannot be used, with file and line
    problems: tuple[str, ...]

    @property
    def worse(self) -> bool:
        """Whether the new model is worse by more than chance."""
        if self.before is None or self.after is None:
            return False
        return self.after.mean < self.before.mean - max(_CHANCE, _CHANCE_MAILS / self.compared)


def open_workshop(
    *, campaign: Campaign, rules_folders: Sequence[Path], cache_folder: Path, model_folder: Path = SHIPPED_MODEL
) -> Workshop:
    """Load what models are made of; takes about two seconds.

    Args:
        campaign: whose aims are told apart.
        rules_folders: in order of precedence; the first that has a file wins, file by file.
        cache_folder: for models that are trained here.
        model_folder: holds the encoder and the heads that it was built with.

    Raises:
        ConfigError: a file of rules or of the model cannot be read.
    """
    files = find_files(rules_folders)
    try:
        encoder, base = load_encoder(model_folder), load_base(model_folder / BASE_FILE)
        rules = _rules_key(files)
    except OSError as error:
        raise ConfigError([f"{error.filename}: {error.strerror}"]) from error
    aims = [[aim.key, aim.title, aim.text] for aim in campaign.aims]
    fit = hashlib.sha256(f"{_FORMAT} {encoder.digest} {json.dumps(aims)}".encode()).hexdigest()
    patterns, problems = load_patterns(files.patterns, campaign)
    return Workshop(
        campaign=campaign,
        files=files,
        encoder=encoder,
        base=base,
        nlp=build_pipeline([pattern.for_ruler() for pattern in patterns]),
        problems=problems,
        shipped=model_folder / HEADS_FILE,
        own=cache_folder / f"heads-{fit[:16]}.npz",
        fit=fit,
        rules=rules,
    )


def _rules_key(files: RuleFiles) -> str:
    digest = hashlib.sha256()
    for path in files.all():
        digest.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def load_classifier(
    *,
    campaign: Campaign,
    rules_folders: Sequence[Path],
    cache_folder: Path,
    read: Read,
    progress: Progress | None = None,
    model_folder: Path = SHIPPED_MODEL,
) -> Classifier:
    """The classifier for a campaign: trained here, as it ships, or, for new aims, fitted now.

    Args:
        campaign: whose aims are told apart.
        rules_folders: in order of precedence; the first that has a file wins, file by file.
        cache_folder: made when missing; holds the models that are trained here.
        read: the reading stage, for the examples.
        progress: told what is being done and the share that is done, 0 to 1.
        model_folder: holds the encoder and the heads that it was built with.

    Raises:
        ConfigError: a file of rules or of the model cannot be read.
    """
    workshop = open_workshop(
        campaign=campaign, rules_folders=rules_folders, cache_folder=cache_folder, model_folder=model_folder
    )
    stored = workshop.current()
    problems = list(workshop.problems)
    if stored is None:
        trial = try_training(workshop, read, progress)
        problems += [*trial.problems, *keep(workshop, trial)]
        model = trial.model
    else:
        model = stored.model
        if stored.rules == workshop.rules:
            problems += stored.problems
        else:
            problems.append("patterns or examples have changed since the model was trained: run `mailbot train`")
            problems += load_examples(workshop.files.examples, campaign, read, known=workshop.base.seen).problems
    return Classifier(
        nlp=workshop.nlp,
        encoder=workshop.encoder,
        model=model,
        version=f"minilm-{version_of(model, workshop.files)}",
        problems=problems,
    )


def version_of(model: Model, files: RuleFiles) -> str:
    """Names a model and the patterns beside it, such as "3f2a9c1d"; another name may answer otherwise."""
    # Patterns count at once, examples only once they are taught.
    patterns = files.patterns.read_bytes() if files.patterns else b""
    return hashlib.sha256(model.version.encode() + patterns).hexdigest()[:8]


def try_training(workshop: Workshop, read: Read, progress: Progress | None = None) -> Trial:
    """Train a model on the examples as they are now, and judge it beside the one in use; nothing is kept.

    Both are judged on mails that they were not taught: the new one by cross-fitting, the one in use by its own
    cross-fitting, and by its answers for the mails that are new since. Mails that the one in use was taught without
    cross-fitting judge nobody.

    Args:
        workshop: for the campaign.
        read: the reading stage, for the examples.
        progress: told what is being done and the share that is done, 0 to 1.
    """
    examples = load_examples(workshop.files.examples, workshop.campaign, read, known=workshop.base.seen)
    model, answers = train(
        workshop.nlp, workshop.encoder, workshop.base, examples, workshop.campaign, progress or _silent
    )
    stored = workshop.current()
    mails = {answer.mail.fingerprint: answer.mail for answer in answers}
    if stored:
        taught = stored.model.taught - stored.model.held_out.keys()
        mails = {key: mail for key, mail in mails.items() if key not in taught}
    return Trial(
        model=model,
        answers=tuple(answers),
        before=_scores(mails, _said_before(workshop, stored, mails.values())) if stored and mails else None,
        after=_scores(mails, model.held_out) if mails else None,
        compared=len(mails),
        blind=bool(stored and not mails),
        problems=examples.problems if answers else (*examples.problems, _UNMEASURED),
    )


def _said_before(workshop: Workshop, stored: Stored, mails: Iterable[LabelledMail]) -> dict[str, Said]:
    classifier = Classifier(nlp=workshop.nlp, encoder=workshop.encoder, model=stored.model, version="before")
    known = stored.model.held_out
    return {
        mail.fingerprint: known[mail.fingerprint]
        if mail.fingerprint in known
        else Said.of(Answer(mail=mail, said=classifier.classify(mail.message)))
        for mail in mails
    }


def _scores(mails: Mapping[str, LabelledMail], said: Mapping[str, Said]) -> Scores:
    pairs = [(said[key], mail) for key, mail in mails.items()]
    return Scores(
        message_class=sum(one.message_class is mail.message_class for one, mail in pairs) / len(pairs),
        aims=_f1([(set(one.aims), set(mail.aims())) for one, mail in pairs]),
        types=_f1([(set(one.types), {str(label.type) for label in mail.contributions}) for one, mail in pairs]),
    )


def _f1(pairs: Sequence[tuple[set[str], set[str]]]) -> float:
    right = sum(len(said & true) for said, true in pairs)
    return 2 * right / max(sum(len(said) + len(true) for said, true in pairs), 1)


def keep(workshop: Workshop, trial: Trial) -> tuple[str, ...]:
    """Make a newly trained model the one in use.

    Returns:
        That it could not be written, where that is so.
    """
    try:
        save(Stored(model=trial.model, fit=workshop.fit, rules=workshop.rules, problems=trial.problems), workshop.own)
    except OSError as error:
        return (f"{workshop.own.parent}: the model cannot be kept and is fitted anew each time: {error.strerror}",)
    return ()


def fit_shipped(
    *, campaign: Campaign, rules_folder: Path, read: Read, model_folder: Path, progress: Progress | None = None
) -> None:
    """Fit the heads to the shipped rules and leave them beside the encoder, so that nobody has to at the first start.

    Raises:
        OSError: the folder cannot be written.
        ValueError: a line of the shipped rules is broken.
    """
    workshop = open_workshop(
        campaign=campaign, rules_folders=[rules_folder], cache_folder=model_folder, model_folder=model_folder
    )
    examples = load_examples(workshop.files.examples, campaign, read, known=workshop.base.seen)
    if workshop.problems or examples.problems:
        raise ValueError("; ".join((*workshop.problems, *examples.problems)))
    model, _ = train(workshop.nlp, workshop.encoder, workshop.base, examples, campaign, progress or _silent)
    save(Stored(model=model, fit=workshop.fit, rules=workshop.rules, problems=()), workshop.shipped)
