"""Archives proved from their own bytes."""
