// Package plain is what a competent team writes first with the stock libraries:
// net/http and encoding/json in front, moov-io/iso8583 for the messages,
// iso8583-connection's pool and Send for the bank, and Pebble with one synced
// commit per record. It answers POST /v1/payments like the switch and keeps the
// two promises that make the comparison fair: the intent is durable before the
// request leaves, the outcome before the merchant is answered.
//
// It is a reference for load runs and nothing more. It does not route, reverse,
// recover, or keep card numbers; a payment whose answer did not come stays
// unknown. All that it leaves out would cost it more.
//
// moov's codec builds tables anew for every packed-decimal field, so the stack is
// more than twice as dear in a dialect with such fields. The comparison that is fair
// to the libraries is the one in ascii87.
package plain
