"""Images: references, and where they are kept."""
