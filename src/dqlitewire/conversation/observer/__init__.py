"""Follow a connection between others: its bytes, frames and exchanges."""
