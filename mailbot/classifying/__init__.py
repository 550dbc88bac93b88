"""The classifying stage: what a mail is, and which pledges, offers and ideas it holds.

::

    sentences -> features -> heads -> contributions -> class of the message -> review

Only this folder imports spaCy, and only when a classifier is loaded.
"""

from __future__ import annotations

from mailbot.classifying.pipeline import Classifier, load_classifier

__all__ = ["Classifier", "load_classifier"]
