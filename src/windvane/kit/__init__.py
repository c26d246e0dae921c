"""Small tools every room uses: clock, errors, settings values, tasks, the program's own metrics.

Imports no other room and no framework. What only one room needs does not belong here.
"""
