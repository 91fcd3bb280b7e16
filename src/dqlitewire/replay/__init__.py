"""Replay of transcripts: as a node towards a client, and as a client towards a node."""
