"""Wire formats, one module or folder each: its minimal schema, its decode SQL, its limits.

Pure functions and data over bytes; no sockets, no event loop, no store. May import kit.
"""
