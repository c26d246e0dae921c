"""Rollups: what samples were in every five minutes and every hour, kept longer than the samples.

A bucket (end - width, end] keeps enough of its samples that functions of windows made of whole
buckets come out as from the samples themselves: count, first and last with their times, extremes,
sum, and for counters what resets lost. Windows that cut a bucket are never answered from rollups
unless the query asks for a resolution.

- `kernels`: samples to buckets, buckets to windows.
- `build`: days that are over become rows of `samples_5m` and `samples_1h`.
- `choose`: which parts of a query may use them.
- `read`: buckets of a selection, from both tables and from samples too young to be rolled.
"""
