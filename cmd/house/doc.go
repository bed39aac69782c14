// Package house holds the project's style to account: which floor may import
// which, how long a file and a function may grow, what must have a comment.
//
// It has tests only. Every rule is a function from the parsed tree to a list of
// findings, and every rule has a test with a small bad tree that it must refuse.
package house
