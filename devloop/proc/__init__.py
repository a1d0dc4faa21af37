"""Child processes in groups of their own: start, stream their lines, end them with grace, know them again."""
