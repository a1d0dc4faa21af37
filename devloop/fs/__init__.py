"""The disk, by the standard library only: ignore rules, scan and stat cache, record log, atomic apply."""
