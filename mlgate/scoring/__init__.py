"""Talking to a model server: payloads, answers, equality."""
