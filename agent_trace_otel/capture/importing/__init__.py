"""Transcripts that Claude Code has left behind -> sessions, as if its hooks had told of them."""
