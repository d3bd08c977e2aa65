"""A data set through the network once, into the store on disk."""
