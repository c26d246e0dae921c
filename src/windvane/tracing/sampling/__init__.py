"""Which traces are made and kept: strategies handed to clients (file, adaptive), and the choice among stored traces.

`strategies` and `adaptive` are head sampling as Jaeger's clients ask for it. `policies`, `policy_file`,
`facts`, `decide` and `tail` are tail sampling: policies from a file, what of each trace they need, the decision,
its carrying out; `kept` tells weights, `trial` what policies would do.
"""
