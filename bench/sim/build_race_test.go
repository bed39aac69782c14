//go:build race

package sim

// The race detector makes a life many times dearer.
const (
	defaultSeeds = 800
	pointStep    = 37
	replaySeeds  = 0
)
