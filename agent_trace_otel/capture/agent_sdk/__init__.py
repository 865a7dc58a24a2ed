"""Programs that drive Claude Code through its Agent SDK: what the client says to them -> the story that its hooks tell.

`payloads` reads the client's messages, `conversation` tells them as spans of the program's session, or of a session of
the client's own. Called by the instrumentor of claude-agent-sdk. Spans have the ids that the recorder of hooks gives.
"""
