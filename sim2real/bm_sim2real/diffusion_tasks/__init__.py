"""Tasks on which guided diffusion is judged (DESIGN section 6): what is asked, and when it counts as done."""
