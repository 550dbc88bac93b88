"""The classifying stage: what a mail is, and which pledges, offers and ideas it holds.

::

    sentences -> vectors -> heads -> contributions -> class of the message -> review

Only this folder imports spaCy, and only when a classifier is loaded.
"""

from __future__ import annotations

from mailbot.classifying.models import Trial, Workshop, keep, load_classifier, open_workshop, try_training
from mailbot.classifying.pipeline import Classifier

__all__ = ["Classifier", "Trial", "Workshop", "keep", "load_classifier", "open_workshop", "try_training"]
