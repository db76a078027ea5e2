"""Journals that tell a drill, for tests of what is made from them."""
