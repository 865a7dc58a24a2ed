"""What a coding agent's events mean, pure: turns, calls, sub-agents, model calls."""
