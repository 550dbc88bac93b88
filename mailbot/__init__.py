"""mailbot: an email-driven pledge intake bot. See README.md; the way of one mail is in pipeline.py."""

__version__ = "0.1.0"
