"""Sampling, diagnostics and storage of fits."""
