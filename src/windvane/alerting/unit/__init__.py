"""Unit tests of rules, in promtool's files unchanged."""
