"""What the product costs beside the bare libraries, and whether it still says what they say."""
