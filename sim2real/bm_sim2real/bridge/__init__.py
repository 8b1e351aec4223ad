"""The bridge: a process that owns robot and guard, a guardian behind it, and shared memory in front of it."""
