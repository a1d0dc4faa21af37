"""What `devloop doctor` looks at, and what it makes of it: facts by I/O, lines by pure functions of the facts."""
