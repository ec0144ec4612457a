"""Physics of radar images: pure functions of arrays, which open no file."""
