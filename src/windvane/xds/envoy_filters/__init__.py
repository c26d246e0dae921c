"""EnvoyFilters: patches of what the generators made, one proxy at a time, before it is sent.

`select` finds the patches of a proxy, `apply` goes over its resources; one module a type says what matches and what
each operation does to it. Order and meaning are Istio's (pilot/pkg/networking/core/envoyfilter). Generators know
nothing of patches, and nothing here knows files or findings.
"""
