"""Modules that tests share, and programs that tests run as processes of their own."""
