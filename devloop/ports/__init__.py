"""Ports of the pod and its namespace on localhost, and of the laptop in the pod: listeners, proxies, carriers."""
