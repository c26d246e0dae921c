"""All emulated applications of a mesh in one asyncio process (`python -m windvane.local.emulator PLAN`).

An annotation says how an application behaves (`spec`); `plan` is what the process reads; `behaviour`
answers one request by it; `faces` are the listeners (HTTP/1.1, gRPC, TCP) and `calls` the clients,
which go out through the workload's own sidecar, as a real application's would. May import kit and
its sister modules `http1`; never mesh or xds: the plan is all it knows.
"""
