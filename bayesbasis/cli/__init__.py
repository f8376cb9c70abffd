"""The command line: a module for each group of commands, and what they share.

Results go to standard output, progress and complaints to standard error. Bad input ends in one line
and exit code 2, work that failed in exit code 1.
"""

from bayesbasis.cli import basis, compare, desk, funding, models
from bayesbasis.cli.common import app

__all__ = ["app", "basis", "compare", "desk", "funding", "models"]
