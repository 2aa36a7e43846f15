"""Archives tried in the container runtimes themselves: docker and containerd."""
