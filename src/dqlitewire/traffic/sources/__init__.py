"""Everything that holds traffic, turned into pieces of the two byte streams of connections."""
