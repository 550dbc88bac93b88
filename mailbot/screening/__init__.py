"""Whether a mail is answered, to whom and with what: see docs/acknowledging.md."""

from mailbot.screening.guards import GUARDS, Policy, acknowledge, screen
from mailbot.screening.recipient import Recipient, choose_recipient

__all__ = ["GUARDS", "Policy", "Recipient", "acknowledge", "choose_recipient", "screen"]
