"""Archives written: from images of a store to frames in a file."""
