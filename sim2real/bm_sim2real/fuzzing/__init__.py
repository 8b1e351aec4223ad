"""Random nonsense for guard, bridge and readers: nothing may crash, nothing beyond the limits may leave."""
