"""Small tools that could be somebody else's library; every room may import them."""
