"""What can be told of an item from its words, its sound and its pictures, each field with where it came from."""
