"""Traffic shown: lines, trees, JSON, tables."""
