"""What hooks deliver, up to the journal: frames, the socket, the spool, and the recorder's two threads."""
