"""The coordinator's side: the digest that lays records before her, and the corrections that come back.

Must not know how a mail was read, screened or classified, only the records that came of it.
"""
