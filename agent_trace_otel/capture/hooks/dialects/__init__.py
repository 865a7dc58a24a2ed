"""Other coding agents' payloads, turned into the shape of Claude Code's."""
