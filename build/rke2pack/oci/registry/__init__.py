"""One registry: asking, credentials, pace, reading and writing."""
