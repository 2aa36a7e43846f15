"""The image store and the frame cache on their way through a registry."""
