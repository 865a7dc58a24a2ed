"""What becomes of journal entries: sessions, their runs, and the spans that tell them."""
