// Package sim is the second tier of the reliability tests: whole lives of the
// product inside a testing/synctest bubble. A life has the real switch on the
// real journal over a disk in memory, real links over a network in memory, one
// or two scripted banks with books of their own, and merchants who believe only
// what they were told. Faults are drawn from one seed by swarm: each seed has a
// random subset of them. After the faults stop the life must come to rest, and
// every invariant is a function over journal, books, merchants' log, wire log
// and disk image.
//
//	go test ./bench/sim -run TestLives -sim.seeds=20000     so many seeds
//	go test ./bench/sim -run TestLives -sim.seed=17         one seed, with its trace
//	go test ./bench/sim -run TestLives -sim.seed=17 -sim.shrink   the smallest plan that fails as it does
//	go test ./bench/sim -run TestCrashPoints -sim.full      every single crash point
//	go test ./bench/sim -run TestReplay -cpu 1              the same seed twice
//
// A run that misses one of the required rare states fails as vacuous.
package sim
