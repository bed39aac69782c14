//go:build race

package main

// The race detector makes a payment many times dearer and keeps books of its
// own in memory.
const (
	slowRate = 100
	fastRate = 50
	flat     = 64 << 10
)

// noMemory tells how a process ends that gets no memory: by exit status, the
// words in its log. The race detector's own allocator and Go's may be the first to ask.
var noMemory = map[int][]string{66: {"out of memory"}, 2: {"fatal error: ", "SIGABRT: abort"}}
