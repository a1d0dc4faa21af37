"""The Kubernetes API, as far as devloop needs it: the only importer of `kubernetes` and `aiohttp`."""
