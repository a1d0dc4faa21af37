"""Driving a protocol session over a connection of messages, such as a websocket: the shell that both sides share."""
