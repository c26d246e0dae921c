"""Requests sent through real sidecars to applications that echo: what a configuration does, seen, not guessed."""
