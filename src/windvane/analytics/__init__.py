"""What telemetry means: anomalies and their causes, forecasts, capacity, objectives, verdicts on releases.

Returns findings and changes nothing. Imports promql, tracing, topology, store and kit; who delivers
configuration, what alerts and what acts on a verdict are not its business. SciPy and what is larger are imported
where they are used, so that the server starts without them.
"""
