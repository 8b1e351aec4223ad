"""Generated locomotion clips: command streams, standing, stops. The planner itself is bm_core.locomotion."""
