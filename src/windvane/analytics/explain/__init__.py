"""The answer to "why": ranked causes with the evidence for each, and one paragraph whose every claim can be looked up.

`windvane.analytics.why` finds the causes from both reports of each call; here they are checked against whatever else
is known (response flags and codes, versions and pods, self time from traces, changes shortly before) and put in words.
Reads only; a source that is not there (no traces, no history) is left out and the answer is as good as the rest allows.
"""
