"""Each module runs one scenario on a stack and tells what it found."""
