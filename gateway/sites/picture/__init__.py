"""What is known of many gateways from what they publish. Pure: instants are arguments."""
