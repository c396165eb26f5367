"""The mlgate command, one module per subcommand."""
