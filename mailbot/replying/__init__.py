"""Answering: what an acknowledgement says (compose.py), and how it is sent.

Must not know how a mail was read, screened or classified, only the values that came of it.
"""
