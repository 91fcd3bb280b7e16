"""What can go wrong on order."""
