"""Progressive delivery: a canary's weights are raised step by step while verdicts allow it, or set back.

Imports analytics, promql (to check queries), mesh and kit. Who asks for verdicts and who delivers the edited files is
not its business: the judge is handed in, the files are watched by whoever reads them.
"""
