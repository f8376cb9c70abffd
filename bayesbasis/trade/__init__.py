"""From paths to decisions: profit and loss, margins and risk of trades on the basis."""
