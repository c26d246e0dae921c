"""A/B tests on units (users, sessions): is the split right, which metrics moved, how long must it run."""
