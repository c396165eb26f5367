"""Attestations: evidence as a signed statement, and who may sign it."""
