"""A release: what belongs to it, what is said about it, who vouches for it, and where it goes."""
