"""The image store: an OCI layout, and what fills and empties it."""
