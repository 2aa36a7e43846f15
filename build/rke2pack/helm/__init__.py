"""Charts: versions, repositories, archives, rendering, discovery, manifests, differences."""
