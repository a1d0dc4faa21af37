"""Getting the agent into pods that run, and out again: the rungs that change something there, and their end."""
