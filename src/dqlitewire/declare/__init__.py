"""Declare a message once: fields, the class made of them, and the code generated for it."""
