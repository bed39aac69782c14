// Package banksim is a bank's host: it listens for a switch over TCP, or dials
// one, answers ISO 8583 messages of any dialect, keeps books of its own, and
// misbehaves on request.
//
// It is written from what a bank does and knows nothing of how a switch decides
// outcomes: it imports package iso for the dialect, and nothing else of the
// project. What the books say is therefore evidence, and a test or a load run
// may compare it with a journal.
//
// One goroutine reads each link, decides, books and answers; one goroutine per
// link writes what fell due later; one goroutine per bank holds every delay.
// Lock order: Bank.mu, then clock.mu, then link.mu, then Books.mu; no lock is
// held over a network call.
package banksim
