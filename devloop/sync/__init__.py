"""The sync engine: events in, commands out. Knows no Kubernetes and no websockets."""
