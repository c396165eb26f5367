"""The acceptance suites. Collected by import name; their fixtures arrive from the plugin."""
