"""How an action travels: keys, codec, scripts, streams and answers. Floor 3; knows nothing of routing or events."""
