"""TraceQL: the language of Grafana Tempo, read, checked, printed and evaluated over the store.

Order of the work: `lexer` and `parser` make a tree (`syntax`), `check` judges it, `pushdown` finds
SQL that no matching span fails, `search` and `metrics` read what that leaves and decide exactly.
"""
