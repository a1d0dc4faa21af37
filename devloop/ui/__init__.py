"""Views of one event stream: plain text, JSON lines, a live screen."""
