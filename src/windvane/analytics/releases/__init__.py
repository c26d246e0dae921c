"""Verdicts on a release: what the two versions' proxies counted, and whether the canary is worse, safe, or not yet
known.
"""
