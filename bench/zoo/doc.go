// Package zoo proves that the tests can see: it keeps a zoo of planted bugs,
// each of which breaks one promise of the product, and each must be killed by
// the tests that the commit gate runs anyway.
//
//	go test ./bench/zoo                              the whole zoo and its score
//	go test ./bench/zoo -v                           also which test killed which bug, with its first complaint
//	go test ./bench/zoo -run TestZoo -zoo.only=NAME  one bug, with the output of the test that should kill it
//
// # How it works
//
// The product's sources are never touched. All bugs are woven at once into
// copies of the files they stand in, each behind a switch of its own, and the
// go command is given these copies as an overlay: a test binary of a package is
// built once and run once for each bug, with the bug's name in the environment
// variable TRANZIT_ZOO. Without a name the woven code is the original code, and
// every killer must pass so first.
//
// A bug is killed when its killer fails. A killer that does not end in time
// kills only a bug that says it hangs. A build that fails kills nothing.
//
// # How to add a bug
//
// Add an entry to the table of its package in bugs_*_test.go:
//
//   - name: what the product does wrong, in few words;
//   - file, old: the place, by a text that occurs there exactly once. When the
//     product moves on and the text no longer occurs once, the zoo fails and
//     says which entry must be mended;
//   - new: what stands there instead. In it $zoo is the condition that the bug
//     is switched on and $old the original text; a bug that needs a second place
//     has it under also;
//   - breaks: the promise that is broken, as its owner would say it;
//   - by: the killer. Prefer the smallest test that has the promise as its
//     purpose. A bug that no test kills is a finding: write the test first.
//
// Every defect that was ever found in the product belongs here, so that it
// cannot come back unnoticed.
package zoo
