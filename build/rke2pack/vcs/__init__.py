"""The door to git (GitPython)."""
