//go:build !race

package sim

const (
	defaultSeeds = 4_000
	pointStep    = 5  // TestCrashPoints takes every so many
	replaySeeds  = 60 // of TestReplay
)
