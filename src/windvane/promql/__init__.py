"""PromQL: plan, window kernels, functions over (series x steps) matrices, result types.

May import store and kit; no I/O of its own beyond the store port.
"""
