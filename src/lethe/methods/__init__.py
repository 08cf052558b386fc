"""What a method is made of, and what a model says of each token."""
