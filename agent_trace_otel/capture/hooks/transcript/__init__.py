"""Claude Code's transcript files: read by offset, told as facts."""
