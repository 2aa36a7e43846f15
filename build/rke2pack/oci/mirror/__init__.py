"""Mirror: images from registries or a layout into another registry, byte for byte."""
