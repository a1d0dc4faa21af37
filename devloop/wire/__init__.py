"""Driving a protocol session over a connection of messages: the asyncio shell that both sides share."""
