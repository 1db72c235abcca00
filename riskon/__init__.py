"""The command line, the settings, and the one place where the rooms are wired together."""
