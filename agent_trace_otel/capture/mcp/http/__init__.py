"""The proxy for MCP servers behind HTTP: what passes is passed on as it comes, and copied for the recording child."""
