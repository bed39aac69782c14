//go:build !race

package main

// What the load tests offer, in payments a second, and how much a process may
// grow that has nothing to grow for, in KiB.
const (
	slowRate = 250
	fastRate = 150
	flat     = 16 << 10
)

// noMemory tells how a process ends that gets no memory: by exit status, the
// words in its log. The C library, which aborts, may be the first to ask for a thread.
var noMemory = map[int][]string{2: {"fatal error: ", "SIGABRT: abort"}}
