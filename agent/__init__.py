"""The pod side of devloop: applies batches to its roots and runs the app."""
