"""The tagger: an optical teacher, its weak labels, a student that sees only SAR, its figures."""
