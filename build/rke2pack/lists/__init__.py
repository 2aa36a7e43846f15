"""Image lists: from rendered charts to images.txt, each image with its proof."""
