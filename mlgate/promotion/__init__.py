"""Moves of an alias: what is on record, where a move may go, and the move itself."""
