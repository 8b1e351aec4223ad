"""Tasks on which guided diffusion is judged (docs/guidance.md): what is asked, and when it counts as done."""
