"""Tasks and attach configurations for IDEs, merged into what the user has."""
