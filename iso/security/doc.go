// Package security holds the cryptography of the line to a bank as the public
// standards define it: message authentication codes (ISO 9797-1, ANSI X9.9 and
// X9.19, CMAC, HMAC), PIN blocks (ISO 9564-1), keys derived per transaction
// (ANSI X9.24-1 and X9.24-3) and key blocks (ANSI X9.143, formerly TR-31).
//
// It computes on keys in memory and keeps none. Who holds the keys, and whether
// they may leave their holder, is the key store's matter.
package security
