"""Will it fit? Estimates peak memory part by part, without loading anything, and compares it with the device."""
