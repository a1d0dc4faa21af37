"""Byte streams through real processes: an agent, servers on the loopback, and the laptop's side in the test."""
