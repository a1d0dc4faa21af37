"""What the containers of a service print: followed across restarts and replaced pods, without loss or repetition."""
