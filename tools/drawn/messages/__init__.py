"""Pages about messages, of clients and of raft: bytes, who answers, values, failures, limits."""
