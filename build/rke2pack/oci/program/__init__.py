"""The program that an image starts, found in its layers."""
