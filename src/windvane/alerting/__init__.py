"""Recording and alerting rules in Prometheus's own files, and notification of what they find.

Imports promql, store and kit; who delivers configuration or shows alerts is not its business.
"""
