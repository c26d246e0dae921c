"""What the mesh's configuration was at any time: versions, what each changed, which proxies took it.

Knows resources as names and text only: it may not import mesh or xds, nor any HTTP framework.
"""
