"""Level kind: charts installed in real clusters that can pull nothing."""
