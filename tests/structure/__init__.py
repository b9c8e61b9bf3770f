"""What machines can see of the house, they watch: rooms, words, drawings."""
