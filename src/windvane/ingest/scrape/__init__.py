"""Scraping as Prometheus does it, from Prometheus's own configuration file.

`config` reads prometheus.yml; `discovery` finds targets, `targets` gives them labels, `pool` keeps one
loop a target, `series` turns what a target exposes into ids and staleness markers, `writer` gathers the
samples of many scrapes into few INSERTs; `manager.Scraper` owns all of it.
"""
