"""Code that one chapter of the book needs; it imports e3d, which never imports it."""
