"""`mailbot once`, killed with SIGKILL at a chosen step: python -m tests.acceptance.crash_child STEP CONFIG.

The product has no hooks for this: the step's own method is wrapped here, in this process only.
"""

from __future__ import annotations

import os
import signal
import smtplib
import sys
from collections.abc import Callable
from typing import Any

from mailbot import cli, pipeline
from mailbot.filing.mails import Mails
from mailbot.filing.outbox import OutboxRows
from mailbot.replying.smtp import SmtpSession


def _die(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _before(owner: Any, name: str) -> None:
    setattr(owner, name, _die)


def _after(owner: Any, name: str) -> None:
    original: Callable[..., Any] = getattr(owner, name)

    def then_die(*arguments: Any, **options: Any) -> None:
        original(*arguments, **options)
        _die()

    setattr(owner, name, then_die)


STEPS: dict[str, Callable[[], None]] = {
    # fetched, nothing saved
    "after fetch": lambda: _before(Mails, "save"),
    # saved, and the cursor not yet moved: one transaction, so neither is there
    "before commit": lambda: _after(Mails, "save"),
    # raw mail and cursor are committed
    "after raw commit": lambda: _before(pipeline, "handle"),
    # filed and queued, in the same transaction, not yet committed
    "before filing": lambda: _after(Mails, "filed"),
    # the first mail is filed and queued, the others are not
    "after filing": lambda: _after(pipeline, "handle"),
    # MAIL FROM and RCPT TO are said, the mail itself is not
    "during sending": lambda: _before(smtplib.SMTP, "data"),
    # the server has said 250, and the store does not know
    "after 250": lambda: _after(SmtpSession, "send"),
    # the mark is written and not committed
    "while marking": lambda: _after(OutboxRows, "sent"),
}

if __name__ == "__main__":
    STEPS[sys.argv[1]]()
    sys.argv = ["mailbot", "once", "-c", sys.argv[2]]
    cli.main()
