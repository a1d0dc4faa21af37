"""Watching: dirty paths out, limits and overflow loud, ignored folders pruned; the only importer of watchdog."""
