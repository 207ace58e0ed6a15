"""From the MQTT broker to the time-series store: each fact exactly once, gaps asked for."""
