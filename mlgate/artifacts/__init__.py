"""A model directory: fetched, digested and read, never run."""
