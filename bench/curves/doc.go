// Package curves runs the same load against several subjects in turns and one
// subject under several costs: how many payments are in flight, how many merchants
// and links there are, how long the journal is, how slow the bank and the disk are.
//
// Every subject is a process of its own with real sockets and a real journal in a
// folder of its own, and every run is held against the bank's books.
package curves
