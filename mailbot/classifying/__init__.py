"""The classifying stage: what a mail is, and which pledges, offers and ideas it holds.

::

    sentences -> vectors -> heads -> contributions -> class of the message -> review

Only this folder imports spaCy, and only when a classifier is loaded.
"""

from __future__ import annotations

from mailbot.classifying.models import load_classifier
from mailbot.classifying.pipeline import Classifier

__all__ = ["Classifier", "load_classifier"]
