// Package bench loads a payment switch over HTTP and says how it fared.
//
// A run drives POST /v1/payments in a closed loop (every connection sends its
// next request when the last is answered) or in an open loop (requests are due
// at times that do not depend on the answers). In the open loop latency counts
// from the moment a request was due, so that a stall of the switch is seen by
// every payment it delayed and not only by the ones in flight.
//
// The requests are a mix of payments, operations that follow them and duplicates,
// each the function of its number. While the load runs, simulated banks may change
// and the switch may be killed. Package bench/scenarios reads all that from YAML;
// Search looks for the highest rate that keeps a latency.
//
// A run may start the banks and the switch itself and then also measures their
// CPU, memory, allocations and fsyncs per payment. At the end the merchants' view,
// the bank's books and the journal are compared; a figure counts only if they
// agree (Result.Valid).
package bench
