"""What is computed once and stored: sampled conformations, their labels, references of bonds."""
