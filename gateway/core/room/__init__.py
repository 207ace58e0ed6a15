"""One room: its emergency call, occupancy, leak and climate."""
