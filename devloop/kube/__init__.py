"""Kubernetes: who to talk to and as whom, requests with plain dicts, watches, port-forwards, commands, rights.

Import what is needed late, for services in a cluster only: aiohttp costs a third of a second and 25 MB.
"""
