"""Registering our hooks in coding agents' settings files."""
