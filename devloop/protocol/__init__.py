"""The protocol between laptop and agent, without I/O: messages, codec, state table, credits, sessions.

The shells feed frames in and send frames out; nothing in here knows a socket, a clock or a file.
"""
