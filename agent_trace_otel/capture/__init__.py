"""Ways in: each turns something an agent does into spans by calling ``spans``."""
