"""The translator: trained on pairs or without, and watched while it learns."""
