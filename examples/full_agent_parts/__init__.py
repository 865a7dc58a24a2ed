"""The programs around `full_agent.py`: a model, an MCP server, a child, a stand-in for a coding agent."""
