"""Metrics, a family a file; `catalogue` finds one by its name in the policy."""
