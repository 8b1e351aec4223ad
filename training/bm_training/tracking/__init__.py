"""Motion tracking on Isaac Lab 3: the MDP of BeyondMimic, split by manager, and its PPO training."""
