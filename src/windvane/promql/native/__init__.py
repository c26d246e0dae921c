"""Native histograms in queries: the value and its arithmetic, estimates, windows, operators, aggregation, reading.

Float samples never come here; a vector or samples without histograms have `native` None.
"""
