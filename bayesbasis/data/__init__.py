"""Tidy price tables in, audited panels out; pandas ends here."""
