"""What every room uses and no user imports: files written whole, checked arguments, near names in errors."""
