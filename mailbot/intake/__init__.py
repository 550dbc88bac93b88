"""Intake: mail out of a mailbox, untouched and complete. Knows no store and nothing of what a mail says."""

from mailbot.intake.cursor import MailboxStatus, Start, start_of
from mailbot.intake.imap import Batch, ImapSession

__all__ = ["Batch", "ImapSession", "MailboxStatus", "Start", "start_of"]
