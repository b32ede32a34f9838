"""Will it fit? Peak memory before anything is loaded, part by part, against what the device has. Needs no torch."""
