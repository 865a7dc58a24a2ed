"""Two sessions side by side: `differences` finds where they part, `lines` shows it."""
