//go:build race

package sim

// defaultSeeds: the race detector makes a life many times dearer.
const defaultSeeds = 1_500
