"""SQL text, as far as clients and tools must understand it: tokens, what a statement does, its normal form."""
