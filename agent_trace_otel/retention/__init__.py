"""Old sessions taken away: which may go (`looking`, `deciding`), and how they go (`removing`)."""
