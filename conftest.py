"""Kept empty on purpose: in an editable install pytest also loads this file when it collects the packaged suites.

Fixtures of our own tests live in `tests/conftest.py`.
"""
