"""The classifying stage: from a Message to a Classification.

Owns: the order sentences, vectors, heads, contributions, class, review.
Must not know: where models and rules come from, mailboxes, the store, other stages.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mailbot.classifying.analysis import Analysis, analyse, language_of
from mailbot.classifying.encoder import Encoder
from mailbot.classifying.evidence import words_for
from mailbot.classifying.fitted import Model
from mailbot.classifying.review import Evidence as Doubts
from mailbot.classifying.review import doubtful_reasons, plain_reasons
from mailbot.classifying.sentences import CONTRIBUTIONS_KEY
from mailbot.classifying.verdicts import TYPES, Found, decide
from mailbot.model import Classification, Contribution, Evidence, Message

if TYPE_CHECKING:
    from spacy.language import Language

#: how sure anything can be in a language that was not taught
UNTAUGHT = 0.4


class Classifier:
    """Reads mail with a fitted model. Safe to use from one thread at a time."""

    def __init__(
        self, *, nlp: Language, encoder: Encoder, model: Model, version: str, problems: Sequence[str] = ()
    ) -> None:
        self._nlp = nlp
        self._encoder = encoder
        #: the fitted heads
        self.model = model
        #: which model this is, such as "minilm-3f2a9c1d"
        self.version = version
        #: broken lines in patterns and examples, with file and line
        self.problems = tuple(problems)

    def classify(self, message: Message) -> Classification:
        """What a mail is, what it holds, and how sure that is.

        Args:
            message: read by the reading stage.

        Returns:
            The class is `contribution` exactly if there are contributions; each quote is verbatim from the sender's
            own text, from the text forwarded as a contribution, or, of a mail without text, from its subject.
        """
        return self.explain(message)[0]

    def explain(self, message: Message) -> tuple[Classification, Analysis]:
        """The same, with the mail taken apart: each document's contributions lie in `doc.spans["contributions"]`."""
        model = self.model
        analysis = analyse(self._nlp, self._encoder, message)
        verdicts = model.looks(analysis).verdicts(model.aims, model.limits)
        chances = model.chances(analysis, verdicts)
        decision = decide(analysis, verdicts, chances, model.limits)
        _mark(decision.found)
        contributions = tuple(self._contribution(one) for one in decision.found)
        language = language_of(message)
        confidence = model.class_calibration.apply(decision.chance)
        if language is not None and not decision.machine:
            # Calibration holds for the language of the examples; in another it is a guess, and answered as one.
            confidence = min(confidence, UNTAUGHT)
        doubts = Doubts(analysis=analysis, verdicts=verdicts, chances=chances, decision=decision, limits=model.limits)
        reasons = plain_reasons(message, decision, language)
        if model.doubt(doubts) >= model.doubt_limit:
            reasons += doubtful_reasons(doubts, confidence, [one.confidence for one in contributions])
        classification = Classification(
            message_class=decision.message_class,
            confidence=round(confidence, 4),
            contributions=contributions,
            review_reasons=tuple(dict.fromkeys(reasons)),
            model_version=self.version,
        )
        return classification, analysis

    def _contribution(self, found: Found) -> Contribution:
        model, verdict = self.model, found.verdict
        quote = found.quote
        because: list[Evidence] = []
        for candidate in found.candidates:
            because += words_for(candidate, model.type_head, TYPES.index(verdict.type), verdict.type)
            for aim in verdict.aims:
                because += words_for(candidate, model.aim_head, model.aims.index(aim), aim)
            because += [
                Evidence(text=hit.words, why=f"{said}: pattern {hit.pattern}")
                for hit in candidate.hits
                if (said := hit.label.rpartition(":")[2]) in (verdict.type, *verdict.aims)
            ]
        if not because:
            # No word stands out: the sentence as a whole did it.
            because = [Evidence(text=found.candidates[0].sentence.text, why=f"{verdict.type}: model")]
        return Contribution(
            type=verdict.type,
            aims=verdict.aims,
            quote=quote,
            confidence=round(model.contribution_calibration.apply(verdict.probability), 4),
            because=tuple(dict.fromkeys(one for one in because if one.text in quote)),
        )


def _mark(found: Sequence[Found]) -> None:
    """Leave the contributions on their spaCy documents, for whoever looks at them with spaCy's tools."""
    from spacy.tokens import Span

    for one in found:
        first, last = one.candidates[0].span, one.candidates[-1].span
        if CONTRIBUTIONS_KEY not in first.doc.spans:
            first.doc.spans[CONTRIBUTIONS_KEY] = []
        first.doc.spans[CONTRIBUTIONS_KEY].append(Span(first.doc, first.start, last.end, label=str(one.verdict.type)))
