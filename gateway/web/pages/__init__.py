"""The pages for people. Every one works without JavaScript."""
