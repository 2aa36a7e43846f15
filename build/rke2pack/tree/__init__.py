"""Trees: the files in which versions and lists live, read and edited."""
