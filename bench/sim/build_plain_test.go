//go:build !race

package sim

// defaultSeeds is what fits in a minute and a half of two cores.
const defaultSeeds = 20_000
