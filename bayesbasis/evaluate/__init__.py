"""Scores of forecasts."""
