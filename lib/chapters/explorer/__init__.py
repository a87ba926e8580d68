"""The molecules that the book's explorer shows."""
