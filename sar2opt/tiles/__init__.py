"""Work block by block: the plan of blocks, the engine, the store of what is finished."""
