"""The commands `smac` and `landscape`: parse, call, print."""
