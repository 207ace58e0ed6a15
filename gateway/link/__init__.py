"""From the journal to the MQTT broker, and commands and values from the broker to ``control``."""
