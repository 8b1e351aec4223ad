"""Diffusion at run time: planner (in lockstep or a process of its own), policy, the state machine around them."""
