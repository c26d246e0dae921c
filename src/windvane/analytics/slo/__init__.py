"""Error budgets: what is left, how fast it burns, when it will be gone."""
