"""Pictures and tables, from Datasets alone."""
