//go:build race

package storage

// The race detector makes an injection ten times dearer.
const raced = true
