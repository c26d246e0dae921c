"""How much a service can take: queueing laws, models fitted to its own history, the rate at which an objective
breaks.
"""
