"""What is odd now, as incidents: judged each minute, told once, explained, kept, and corrected by people.

Imports analytics (which judges), alerting (which notifies), history, promql, store and kit; it changes nothing of a
mesh. What judges heavily is imported when there is something to judge: a server starts without it.
"""
