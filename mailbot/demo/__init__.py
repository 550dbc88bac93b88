"""Everything that `mailbot demo` needs and no deployment does: sample mails, and servers inside this process.

Needs the extra `demo` (pymap, aiosmtpd). The stages never import from here.
"""
