"""Windvane's own routes under `/api/windvane/v1`: what the console needs beyond the standard APIs."""
