"""Takes Remote Write requests apart into frames, with every limit."""
