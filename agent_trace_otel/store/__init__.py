"""The session folder: what is written while an agent runs and read when somebody wants the story."""
