"""Sentences in their mail as vectors, by a small transformer that onnxruntime runs on the CPU.

Owns: the shipped encoder's files, tokens, vectors, and which tokens lie where in a sentence.
Must not know: labels, weights of heads, campaigns.

Importing onnxruntime and tokenizers takes time and memory, so `load_encoder` alone imports them.

Source:
    Reimers, Gurevych, "Sentence-BERT" (2019), mean pooling; the encoder is all-MiniLM-L6-v2, fine-tuned (see its card).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mailbot.classifying.windows import SENTENCE_TOKENS, windows_of

if TYPE_CHECKING:
    from onnxruntime import InferenceSession
    from tokenizers import Tokenizer

Floats = NDArray[np.float32]

#: the shipped encoder, its tokenizer, heads, licence and card
SHIPPED_MODEL = Path(__file__).parent / "minilm"
ENCODER_FILE = "encoder.onnx"
TOKENIZER_FILE = "tokenizer.json"
#: length of a vector
WIDTH = 384


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens of one sentence."""

    #: tokens by WIDTH
    vectors: Floats
    #: character offsets into the sentence, tokens by 2
    offsets: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Vectors:
    """Some sentences in vectors, each in the light of what was read with it."""

    #: the mean of each sentence's own tokens, sentences by WIDTH
    own: Floats
    #: the mean of all tokens read together with each sentence, sentences by WIDTH
    surroundings: Floats


@dataclass(frozen=True, slots=True)
class Encoded:
    """A mail in vectors."""

    sentences: Vectors
    #: the mean of all tokens of the mail, WIDTH
    mail: Floats
    tokens: tuple[Tokens, ...]


class Encoder:
    """Runs the encoder. Safe to use from one thread at a time."""

    def __init__(self, session: InferenceSession, tokenizer: Tokenizer, folder: Path) -> None:
        self._session = session
        self._tokenizer = tokenizer
        self._folder = folder

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the files it runs on, in hexadecimal."""
        digest = hashlib.sha256()
        for name in (ENCODER_FILE, TOKENIZER_FILE):
            digest.update((self._folder / name).read_bytes())
        return digest.hexdigest()

    def encode(self, subject: str, quoted: str, sentences: Sequence[str]) -> Encoded:
        """Encode the sentences of a mail, each in the light of the others.

        Args:
            subject: the subject line.
            quoted: the text that the mail answers.
            sentences: in order; none is fine.
        """
        texts = [subject[:400], quoted[-600:], *sentences]
        pieces = self._tokenizer.encode_batch(texts, add_special_tokens=False)
        cut = windows_of(pieces[0].ids, pieces[1].ids, [piece.ids for piece in pieces[2:]])
        own = np.zeros((len(sentences), WIDTH), dtype=np.float32)
        surroundings = np.zeros_like(own)
        tokens: list[Tokens] = []
        mail, count = np.zeros(WIDTH, dtype=np.float32), 0
        for window in cut:
            ids = np.array([window.ids], dtype=np.int64)
            vectors: Floats = self._session.run(None, {"input_ids": ids})[0][0]
            mean = vectors.mean(axis=0)
            mail += vectors.sum(axis=0)
            count += len(vectors)
            for number, first, end in window.spans:
                own[number] = vectors[first:end].mean(axis=0)
                surroundings[number] = mean
                offsets = np.array(pieces[2 + number].offsets[:SENTENCE_TOKENS], dtype=np.int64).reshape(-1, 2)
                tokens.append(Tokens(vectors=vectors[first : first + len(offsets)], offsets=offsets))
        return Encoded(
            sentences=Vectors(own=own, surroundings=surroundings),
            mail=(mail / count).astype(np.float32),
            tokens=tuple(tokens),
        )


def load_encoder(folder: Path = SHIPPED_MODEL) -> Encoder:
    """Load an encoder; takes about a fifth of a second.

    Args:
        folder: holds ENCODER_FILE and TOKENIZER_FILE.

    Raises:
        OSError: a file is missing.
    """
    import onnxruntime
    from tokenizers import Tokenizer

    options = onnxruntime.SessionOptions()
    # Two threads at most: mail comes one at a time, and more gain little on so small a model.
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    options.intra_op_num_threads = min(cores, 2)
    options.inter_op_num_threads = 1
    # Idle threads sleep instead of spinning: the worker shares its machine.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Without the arena long mails leave no memory behind.
    options.enable_cpu_mem_arena = False
    session = onnxruntime.InferenceSession(
        (folder / ENCODER_FILE).read_bytes(), options, providers=["CPUExecutionProvider"]
    )
    return Encoder(session, Tokenizer.from_file(str(folder / TOKENIZER_FILE)), folder)
