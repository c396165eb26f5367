"""The demo: a champion and four challengers on real data."""
