"""What every family shares. Nothing in here names a family."""
