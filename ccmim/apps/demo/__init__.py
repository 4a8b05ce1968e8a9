"""The built-in toy scenes."""
