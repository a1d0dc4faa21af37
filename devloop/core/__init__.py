"""Pure values and decisions: entries, trees, plans, problems, deltas, the supervisor's state table.

Nothing in here does I/O, knows the time, or imports asyncio; every function is given what it needs.
"""
