//go:build race

package main

// The race detector makes a payment many times dearer and keeps books of its
// own in memory.
const (
	slowRate = 100
	fastRate = 50
	flat     = 64 << 10

	// How a process ends that gets no memory.
	noMemoryStatus = 66
	noMemoryWord   = "out of memory"
)
