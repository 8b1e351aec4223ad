"""Where goals come from: scripts, waypoints, keyboard, gamepad. What they mean: bm_core.diffusion.guidance."""
