"""From a frozen mesh snapshot, by pure generators, to Envoy configuration; ADS and SDS server; CA.

May import mesh and kit; never store.
"""
