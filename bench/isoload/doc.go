// Package isoload loads an ISO 8583 host over TCP, in any dialect, without the
// switch: it signs on, sends a mix of messages in a closed or an open loop, and
// matches what comes back by the dialect's keys. In the open loop latency counts
// from the moment a message was due, so that a stall of the host is seen by every
// message it delayed.
//
// One goroutine per link reads, matches and, in the closed loop, sends on; one
// paces and watches the time; one writes what queued while its last write ran. A
// link that ends is dialed and signed on again. The host's own side is the
// simulated bank of package banksim, made to answer with a mix of codes: Host.
package isoload
