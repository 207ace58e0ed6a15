"""The live stream: what has changed, sent to everybody who looks."""
