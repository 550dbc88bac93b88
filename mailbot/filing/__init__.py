"""Filing: everything that is kept, in one SQL database. Knows no mail format and no server."""

from mailbot.filing.store import Store, Transaction

__all__ = ["Store", "Transaction"]
