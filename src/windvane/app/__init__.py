"""Joins settings, wires the rooms, starts and stops them: the only place that chooses a store."""
