"""Two configurations compared by what they do: requests, recorded or derived, sent through real Envoys of both.

May import what `windvane.local` may. Files and servers are read by whoever calls: what is here begins at entries of
access logs, spans and views of a mesh.
"""
