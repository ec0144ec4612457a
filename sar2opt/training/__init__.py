"""From scenes and chips to pairs, from pairs to a trained net, its figures and its bundle."""
