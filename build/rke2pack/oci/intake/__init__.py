"""Archives from outside read: tars, and images taken into a layout."""
