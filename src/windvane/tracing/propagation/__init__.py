"""Where trace context is lost: requests that a workload made for one it served, in a trace of their own.

`calls` reads what sidecars served and made as columns; `judge` decides which calls lost their trace;
`formats` tells which headers carry the context, `advice` what to change; `report` joins them. May import what
`windvane.tracing` may.
"""
