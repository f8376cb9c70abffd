"""Posterior predictive paths to expiry, their bands, and half-lives."""
