"""devloop: the dev loop for stacks that live in Argo CD."""

__version__ = "0.1.0"
