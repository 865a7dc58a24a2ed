"""MCP, seen from between client and server: two proxies that pass bytes on and have copies of them recorded."""
