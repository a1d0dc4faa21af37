"""Commands in a container with the terminal on the laptop, and commands here with the container's environment."""
