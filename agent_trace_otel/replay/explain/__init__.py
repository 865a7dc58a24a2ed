"""The story of a session from its facts alone: `facts` finds them, `lines` shows them."""
