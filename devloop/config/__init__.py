"""devloop.yaml: the model, the loader with file:line:col errors, overlays, discovery, JSON schema, init."""
