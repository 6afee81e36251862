"""How the reference models and the expression head were made; not part of the wheel."""
